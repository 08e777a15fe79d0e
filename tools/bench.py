"""Run every `tests/bench/bench_*.py` and show the figures beside their targets.

Each of those modules has `run()`, which measures and returns rows; it has a process of its own, since what others
load makes Python slower.
"""

import importlib
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench import BenchRow

ROOT = Path(__file__).resolve().parent.parent


def measured(name: str) -> "list[BenchRow]":
    """Return the rows of one module, by its name."""
    sys.path.insert(0, str(ROOT))
    rows: list[BenchRow] = importlib.import_module(f"tests.bench.{name}").run()
    return rows


def main() -> int:
    """Measure, print the table, and return 1 when a target is missed."""
    from rich.console import Console
    from rich.table import Table

    sys.path.insert(0, str(ROOT))  # for the rows
    processes = multiprocessing.get_context("spawn")
    table = Table("benchmark", "measured", "target", "", title="make bench")
    progress = Console(stderr=True)
    missed = 0
    for path in sorted(ROOT.glob("tests/bench/bench_*.py")):
        with ProcessPoolExecutor(1, mp_context=processes) as own:
            rows = own.submit(measured, path.stem).result()
        for row in rows:
            verdict = "ok" if row.ok else "MISSED"
            progress.print(f"{row.name}: {row.value:,.4g} {row.unit} {verdict}", highlight=False)
            table.add_row(row.name, f"{row.value:,.4g} {row.unit}", f"{row.target:,.4g} {row.unit}", verdict)
            missed += not row.ok
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
