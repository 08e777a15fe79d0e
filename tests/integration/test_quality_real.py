"""Real bars through the gate and the suite: nothing is lost, and every oddity is counted as plain Python counts it."""

import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bellwether.calendar import NEW_YORK, SessionHours, get_calendar
from bellwether.quality.gate import check_batch
from bellwether.quality.validate import validate_session
from bellwether.schemas import EQUITIES, TIMESTAMP

# What the archive's README says of its bars; a folder with other days has other oddities.
STATED: dict[str, tuple[int, dict[str, int]]] = {
    "bars_equity_SPY_20131004_20131011.parquet": (
        4839,
        {"vwap_outside_range": 42, "null_vwap": 734, "null_transactions": 734, "missing_regular_minutes": 0},
    ),
    "bars_equity_AAPL_20140606.parquet": (783, {"missing_regular_minutes": 0}),
    "bars_equity_TWX_20140606.parquet": (397, {"missing_regular_minutes": 3}),
}

Bars = list[dict[str, Any]]


def _sessions(archive: Path) -> dict[tuple[str, date], pa.Table]:
    found = {}
    for path in sorted(archive.glob("bars_equity_*.parquet")):
        raw = pq.read_table(path)
        bars = pa.Table.from_arrays(
            [raw["ticker"], raw["t"].cast(TIMESTAMP), *(raw[name] for name in ("o", "h", "l", "c", "v", "vw", "n"))],
            schema=EQUITIES,
        )
        days = [datetime.fromtimestamp(ms / 1000, UTC).astimezone(NEW_YORK).date() for ms in raw["t"].to_pylist()]
        for day in sorted(set(days)):
            found[path.name, day] = bars.filter(pa.array([each == day for each in days]))
    return found


def _oddities(bars: Bars, hours: SessionHours) -> dict[str, int]:
    regular: defaultdict[str, set[datetime]] = defaultdict(set)
    for bar in bars:
        regular[bar["ticker"]] |= {bar["ts"]} if hours.open <= bar["ts"] < hours.close else set()
    cents = [[100 * bar[name] for name in ("open", "high", "low", "close") if bar[name] >= 1] for bar in bars]
    return {
        "vwap_outside_range": sum(
            bar["vwap"] is not None and not bar["low"] <= bar["vwap"] <= bar["high"] for bar in bars
        ),
        "sub_penny_price": sum(any(abs(price - round(price)) > 1e-6 for price in prices) for prices in cents),
        "null_vwap": sum(bar["vwap"] is None for bar in bars),
        "null_transactions": sum(bar["transactions"] is None for bar in bars),
        "missing_regular_minutes": sum(hours.expected_minutes() - len(present) for present in regular.values()),
        "duplicates_dropped": 0,
    }


def test_real_sessions_lose_no_row_and_their_oddities_are_counted(archive: Path) -> None:
    rows: Counter[str] = Counter()
    warnings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    sessions = _sessions(archive)
    assert sessions, f"no bars_equity_*.parquet in {archive}"
    for (file, day), bars in sessions.items():
        hours = get_calendar().hours(day)
        gate = check_batch(bars, hours, "equities")
        verdict = validate_session(gate.table, dataset="equities", session_hours=hours, rows_expected=len(bars))
        assert (gate.errors, gate.bad_rows, verdict.failures, verdict.quarantined.num_rows) == ([], 0, [], 0), day
        assert verdict.good == bars, day
        assert verdict.warnings == gate.warnings == _oddities(bars.to_pylist(), hours), day
        rows[file] += verdict.good.num_rows
        warnings[file].update(verdict.warnings)
    for file in STATED.keys() & rows.keys():
        stated_rows, stated = STATED[file]
        assert rows[file] == stated_rows
        assert {name: warnings[file][name] for name in stated} == stated


def test_real_bars_of_another_day_are_quarantined_to_the_last(archive: Path) -> None:
    (_, day), bars = next(iter(_sessions(archive).items()))
    report = check_batch(bars, get_calendar().hours(get_calendar().next(day)), "equities")
    assert set(report.reasons.to_pylist()) == {"outside_session"}


@pytest.mark.parametrize("module", ["gate", "suite", "validate"])
def test_importing_a_module_loads_neither_great_expectations_nor_pandas(module: str) -> None:
    program = (
        f"import sys, bellwether.quality.{module}; print(*({{'great_expectations', 'pandas'}} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert loaded.stdout.strip() == ""
