"""`bellwether discover`: find the option contracts that matter on a session, and show what was chosen and why."""

import argparse
import secrets
from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from bellwether.cli.options import add_lake, add_session, lake_location, tickers, vendor_access
from bellwether.config import Config
from bellwether.ingest.discovery import discover, undiscovered
from bellwether.lake import Lake
from bellwether.lake.coverage import session_coverage
from bellwether.options.symbols import parse_symbols
from bellwether.universe.spec import shown

_DATASET = "contracts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    add_session(parser)
    parser.add_argument(
        "--underlying",
        type=tickers,
        default=[],
        metavar="A,B",
        help="find these again; default those of the universe that are not known",
    )
    add_lake(parser)
    parser.add_argument("--url", metavar="URL", help="a simulator, e.g. http://127.0.0.1:8765")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when the contracts of every underlying are known, 1 otherwise."""
    access = vendor_access(args.url)
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options, simulated=access.simulated)
    found = discover(
        lake,
        config,
        access.connect(config),
        args.session,
        stage_id=f"cli-discover-{secrets.token_hex(4)}",
        run_id="bellwether discover",
        underlyings=args.underlying,
    )
    Console().print(_table(lake, args.session))
    show_undiscovered(lake, config, [args.session])
    errors = Console(stderr=True)
    for underlying, reason in sorted(found.problems.items()):
        errors.print(f"{args.session} {underlying}: {reason}", style="red", highlight=False)
    return 1 if found.problems else 0


def show_undiscovered(lake: Lake, config: Config, sessions: Sequence[date]) -> None:
    """Warn of contracts that other datasets hold, the rules mean, and nobody discovered."""
    found = {session: undiscovered(lake, config, session) for session in sessions}
    lines = [
        f"{session}: seen, but not discovered: {shown(missing)}; run `bellwether discover` with --underlying"
        for session, missing in found.items()
        if missing
    ]
    if untold := [str(session) for session, missing in found.items() if missing is None]:
        lines.append(f"contracts not published, so nobody can tell what lacks among them: {shown(untold)}")
    console = Console(stderr=True)
    for line in lines:
        console.print(line, style="yellow", highlight=False)


def _table(lake: Lake, session: date) -> Table:
    """Return one row per chain that was chosen from, and one per underlying of which nothing was."""
    table = Table(title=f"Contracts of {session}")
    for name in ("underlying", "opening price", "root", "expiration", "calls", "puts", "strikes", "why"):
        table.add_column(name, justify="right" if name in {"opening price", "calls", "puts"} else "left")
    published = lake.partition(_DATASET, session)
    chosen = published.table if published else pa.table({})
    for row in _chains(chosen) if chosen.num_rows else ():
        table.add_row(*row)
    for underlying, known in session_coverage(lake, _DATASET, session, None).tickers.items():
        if not known.rows:
            table.add_row(underlying, "", "", "", "", "", "", f"{known.state.value}: {known.reason}")
    return table


def _chains(chosen: pa.Table) -> list[tuple[str, ...]]:
    roots = parse_symbols(chosen["ticker"])["root"]
    names = ["underlying", "root", "expiration", "opening_price", "opening_price_source", "chosen_by"]
    grouped = (
        chosen.append_column("root", roots)
        .append_column("is_call", pc.equal(chosen["right"], "call").cast(pa.int64()))
        .group_by(names, use_threads=False)
        .aggregate([("is_call", "sum"), ("ticker", "count"), ("strike", "min"), ("strike", "max")])
    )
    return [
        (
            row["underlying"],
            "-" if row["opening_price"] is None else f"{row['opening_price']:g} ({row['opening_price_source']})",
            row["root"],
            f"{row['expiration']:%a %Y-%m-%d}",
            str(row["is_call_sum"]),
            str(row["ticker_count"] - row["is_call_sum"]),
            f"{row['strike_min']:g} .. {row['strike_max']:g}",
            row["chosen_by"],
        )
        for row in grouped.to_pylist()
    ]
