"""The examples of the documentation run as they are written, and show what gold says, on New York's clock."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.lake import Lake
from tests.unit.consolidate.lakes import consolidate, prints, put, stock
from tests.unit.consolidate.market import DAY

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("examples")
    lake = Lake.open(folder / "lake", simulated=True, clock=SimulatedClock(datetime(2025, 7, 10, tzinfo=UTC), speed=1))
    stock(lake)
    strikes = [f"O:AAPL250718{right}{strike:05d}000" for right in "CP" for strike in (195, 200, 205)]
    put(lake, "options", prints(*strikes, price=9.0))
    consolidate(lake, Config.load(folder, {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, SPY]"}))
    return lake.root


def shown(folder: Path, example: str, *arguments: str) -> list[list[dict[str, Any]]]:
    """Run an example and return the rows of data in its page, largest table first."""
    page = folder / "page.html"
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{example}.py"), *arguments, str(page)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"var spec = (\{.*?\});\n", page.read_text("utf-8"), re.DOTALL)
    assert found
    spec = json.loads(found[1])
    inline = [part["data"]["values"] for part in spec.get("hconcat", []) if "values" in part.get("data", {})]
    return sorted([*spec["datasets"].values(), *inline], key=len, reverse=True)


def test_candles_with_the_vix(tmp_path: Path, root: str) -> None:
    [bars] = shown(tmp_path, "candles", root, str(DAY), "AAPL")
    assert len(bars) == 78
    assert [bars[at]["ts"] for at in (0, -1)] == ["2025-07-02T09:30:00", "2025-07-02T15:55:00"]
    assert {bar["vix"] for bar in bars} == {17.0}
    assert all(bar["low"] <= min(bar["open"], bar["close"]) for bar in bars)


def test_smile_and_term_structure(tmp_path: Path, root: str) -> None:
    smile, term = shown(tmp_path, "volatility", root, str(DAY), "AAPL", "10:31")
    assert {(row["right"], row["strike"]) for row in smile} >= {("call", 205.0), ("put", 195.0)}
    assert all(0.1 < row["iv"] < 1 for row in smile)
    assert [row["expiration"] for row in term] == ["2025-07-18T00:00"]


def test_heat_map_of_momentum(tmp_path: Path, root: str) -> None:
    [cells] = shown(tmp_path, "momentum", root, str(DAY))
    assert len(cells) == 2 * 26
    assert {cells[0]["known"], cells[-1]["known"]} == {"2025-07-02T09:45:00", "2025-07-02T16:00:00"}
    assert {cell["ticker"] for cell in cells} == {"AAPL", "SPY"}
