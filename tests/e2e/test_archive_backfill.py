"""Real minutes through a real Airflow: the archive served as the vendor would, backfilled over the REST API.

Sessions, tickers and expectations are taken from the archive's own tables, whatever they hold.
"""

from collections import Counter
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.lake import Coverage, paths, read
from bellwether.localstack import Run
from bellwether.simulator.archive import ArchiveMarket
from tests.e2e.support import Producers

COLUMNS = {"t": "ts", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume", "vw": "vwap"} | {
    "n": "transactions"
}
PRICES = ["open", "high", "low", "close"]
# What the archive's README says of these tables; other archives hold others.
STATED = {
    "bars_equity_SPY_20131004_20131011.parquet": (
        6,
        {"rows": 4839, "vwap_outside_range": 42, "null_vwap": 734, "null_transactions": 734},
    ),
}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def bars(archive: Path) -> pd.DataFrame:
    """Return every equity bar of the archive under the lake's column names, with its file and New York date."""
    files = sorted(archive.glob("bars_equity*.parquet"))
    assert files, f"no bars_equity*.parquet in {archive}"
    found = pd.concat([pd.read_parquet(file).assign(file=file.name) for file in files]).rename(columns=COLUMNS)
    found["ts"] = pd.to_datetime(found["ts"], unit="ms", utc=True)
    found["session"] = found["ts"].dt.tz_convert(NEW_YORK).dt.date
    return found.sort_values(["session", "ticker", "ts"], ignore_index=True)


@pytest.fixture(scope="module")
def producers(archive: Path, bars: pd.DataFrame, start_producers: Callable[..., Producers]) -> Producers:
    return start_producers(ArchiveMarket(archive), sorted(bars["ticker"].unique()))


@pytest.fixture(scope="module")
def runs(producers: Producers, bars: pd.DataFrame) -> list[Run]:
    """Capture the archive: stretches of adjoining sessions by backfill, lone sessions by their key."""
    runs: list[Run] = []
    for first, last in stretches_of(sorted(bars["session"].unique())):
        runs += [producers.trigger(str(first))] if first == last else producers.backfill(first, last)
    return runs


def stretches_of(sessions: list[date]) -> list[tuple[date, date]]:
    """Return first and last session of each stretch without a gap; weekends and holidays are none."""
    calendar = get_calendar()
    breaks = [(before, after) for before, after in pairwise(sessions) if calendar.next(before) != after]
    firsts = [sessions[0], *(after for _, after in breaks)]
    lasts = [*(before for before, _ in breaks), sessions[-1]]
    return list(zip(firsts, lasts, strict=True))


def oddities(bars: pd.DataFrame, session: date) -> dict[str, int]:
    """Count with pandas what the manifests' warnings count."""
    hours = get_calendar().hours(session)
    regular = bars["ts"].between(hours.open, hours.close, inclusive="left")
    cents = bars[PRICES] * 100
    sub_penny = ((cents - cents.round()).abs() > 1e-6) & (bars[PRICES] >= 1)
    return {
        "vwap_outside_range": int(((bars["vwap"] < bars["low"]) | (bars["vwap"] > bars["high"])).sum()),
        "sub_penny_price": int(sub_penny.any(axis=1).sum()),
        "null_vwap": int(bars["vwap"].isna().sum()),
        "null_transactions": int(bars["transactions"].isna().sum()),
        "missing_regular_minutes": int(bars["ticker"].nunique() * hours.expected_minutes() - regular.sum()),
        "duplicates_dropped": 0,
    }


def same_values(published: pd.DataFrame, archived: pd.DataFrame) -> None:
    """Compare value for value: order, nulls and every column of the lake's schema."""
    names = ["ticker", *COLUMNS.values()]
    left, right = (frame[names].reset_index(drop=True).astype({"ticker": str}) for frame in (published, archived))
    pd.testing.assert_frame_equal(left, right, check_dtype=False, check_exact=True)


def test_every_session_of_the_archive_gets_one_run_and_no_other_day_does(runs: list[Run], bars: pd.DataFrame) -> None:
    assert [run.partition_key for run in runs] == [str(session) for session in sorted(bars["session"].unique())]
    assert {run.state for run in runs} == {"success"}


def test_published_partitions_hold_exactly_the_archives_rows(
    runs: list[Run], producers: Producers, bars: pd.DataFrame
) -> None:
    in_folder = pd.read_parquet(producers.lake_root / "clean" / "equities")
    for session, archived in bars.groupby("session"):
        same_values(read("equities", session, session, root=producers.lake_root).to_pandas(), archived)
        same_values(in_folder[in_folder["session"].astype(str) == str(session)], archived)
        file = producers.lake_root / paths.partition("equities", session)
        same_values(pd.read_parquet(file, partitioning=None), archived)
        assert [path.name for path in file.parent.iterdir()] == ["equities.parquet"]


def test_manifests_count_the_archives_oddities_and_nothing_is_quarantined(
    runs: list[Run], producers: Producers, bars: pd.DataFrame
) -> None:
    universe = sorted(bars["ticker"].unique())
    for session, archived in bars.groupby("session"):
        manifest = producers.lake.manifest("equities", session)
        assert manifest is not None
        assert manifest.warnings == oddities(archived, session), session
        assert (manifest.rows, manifest.quarantined_rows) == (len(archived), 0)
        expected = {ticker: int((archived["ticker"] == ticker).sum()) for ticker in universe}
        assert {ticker: known.rows for ticker, known in manifest.coverage.items()} == expected
        states = {ticker: Coverage.COMPLETE if rows else Coverage.EMPTY for ticker, rows in expected.items()}
        assert {ticker: known.state for ticker, known in manifest.coverage.items()} == states


def test_the_readmes_figures_are_met(runs: list[Run], producers: Producers, bars: pd.DataFrame) -> None:
    for file in STATED.keys() & set(bars["file"]):
        sessions, stated = STATED[file]
        days = sorted(bars.loc[bars["file"] == file, "session"].unique())
        assert len(days) == sessions
        assert any((after - before).days > 1 for before, after in pairwise(days)), "no weekend in between"
        totals: Counter[str] = Counter()
        for day in days:
            manifest = producers.lake.manifest("equities", day)
            assert manifest is not None
            totals.update(manifest.warnings | {"rows": manifest.rows})
        assert {name: totals[name] for name in stated} == stated
