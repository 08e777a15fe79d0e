"""Real history through a real Airflow: the archive served as the vendor would, captured over the REST API.

Stocks, options and indices all at once. Sessions, tickers and expectations are taken from the archive's own tables,
whatever they hold; what its README says of the tables it names is held against them too.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bellwether.airflow_api import Run
from bellwether.calendar import get_calendar
from bellwether.clock import SystemClock
from bellwether.lake import Coverage, Manifest, paths, read
from bellwether.simulator.archive import ArchiveMarket
from tests.e2e.archive import (
    COLUMNS,
    LISTED,
    OPEN,
    PRICES,
    bars_of,
    contracts_of,
    is_late,
    is_stale,
    missing_minutes,
    near,
    oddities,
    roots_of,
    same_values,
    trading_until,
)
from tests.e2e.support import PRODUCER, Producers

TRADED = ["ticker", *COLUMNS.values()]
# SPX of Friday the 15th last trades on the 14th: settled in the evening, it would lie beyond the narrow rule's 10 days.
NARROW: dict[str, Any] = {"strikes": {"percent": 1.0}, "lookahead_days": 10}
WIDE: dict[str, Any] = {"strikes": "wide", "lookahead_days": 1000}
# What the archive's README says of these tables; other archives hold others.
SPY, SPY_WEEK = (
    "bars_equity_SPY_20131004_20131011.parquet",
    {"rows": 4839, "vwap_outside_range": 42, "null_vwap": 734, "null_transactions": 734},
)
AAPL, SPX, INDEX = (
    f"bars_{name}.parquet" for name in ("option_AAPL_20140606", "option_SPX_20210104", "index_SPX_20210104")
)

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Captured:
    """What became of the archive.

    Attributes
    ----------
    equities
        The runs of `equities_daily`, by session.
    others
        Those of options and indices.
    narrowed_utc
        When options stood as `NARROW` means them; `WIDE` came after.
    """

    equities: list[Run]
    others: list[Run]
    narrowed_utc: datetime


@pytest.fixture(scope="module")
def bars(archive: Path) -> pd.DataFrame:
    return bars_of(archive, "bars_equity*.parquet")


@pytest.fixture(scope="module")
def option_bars(archive: Path) -> pd.DataFrame:
    return bars_of(archive, "bars_option*.parquet")


@pytest.fixture(scope="module")
def index_bars(archive: Path) -> pd.DataFrame:
    return bars_of(archive, "bars_index*.parquet")


@pytest.fixture(scope="module")
def underlyings(bars: pd.DataFrame, index_bars: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([bars, index_bars])


@pytest.fixture(scope="module")
def listed(archive: Path) -> pd.DataFrame:
    return contracts_of(archive)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file `sources.yaml` of the stack."""
    return tmp_path_factory.mktemp("config") / "sources.yaml"


@pytest.fixture(scope="module")
def producers(archive: Path, bars: pd.DataFrame, sources: Path, start_producers: Callable[..., Producers]) -> Producers:
    producers = start_producers(
        ArchiveMarket(archive),
        sorted(bars["ticker"].unique()),
        BELLWETHER_CONFIG_DIR=str(sources.parent),
        BELLWETHER__INGEST__BATCH_TICKERS="600",
        # Nothing runs but what is started here.
        AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE="False",
    )
    others = ("options_discovery", "options_daily", "indices_daily")
    producers.api.wait_for_dags(others)
    for dag_id in others:
        producers.api.set_paused(dag_id, paused=False)
    return producers


@pytest.fixture(scope="module")
def captured(
    producers: Producers,
    sources: Path,
    bars: pd.DataFrame,
    option_bars: pd.DataFrame,
    index_bars: pd.DataFrame,
    listed: pd.DataFrame,
) -> Captured:
    """Capture the archive: stocks over stretches of sessions, options by one rule and then by a wider one, indices."""
    options = {"universe": sorted(listed["underlying"].unique())}
    indices = {"universe": sorted(index_bars["ticker"].unique())}

    def choose(rule: dict[str, Any]) -> None:
        written = sources.with_suffix(".new")
        written.write_text(json.dumps({"options": {**options, "contracts": rule}, "indices": indices}))
        written.replace(sources)

    def started(dag_id: str, of: pd.DataFrame, **params: object) -> list[Run]:
        return [producers.api.trigger(dag_id, str(day), params) for day in sorted(of["session"].unique())]

    with ThreadPoolExecutor(1) as beside:
        choose(NARROW)
        narrow = started("options_daily", option_bars) + started("indices_daily", index_bars)
        stocks = beside.submit(capture_stocks, producers, bars)
        narrow = over(producers, narrow)
        narrowed_utc = SystemClock().now()
        choose(WIDE)
        wide = over(producers, started("options_discovery", option_bars, force=True))
        wide += over(producers, started("options_daily", option_bars))
    return Captured(stocks.result(), narrow + wide, narrowed_utc)


def capture_stocks(producers: Producers, bars: pd.DataFrame) -> list[Run]:
    """Capture lone sessions by their key, stretches of adjoining ones by backfill; return the runs by session."""
    stretches = stretches_of(sorted(bars["session"].unique()))
    alone = [producers.api.trigger(PRODUCER, str(first)) for first, last in stretches if first == last]
    together = [producers.backfill(first, last) for first, last in stretches if first != last]
    return sorted([*over(producers, alone), *chain(*together)], key=lambda run: str(run.partition_key))


def over(producers: Producers, runs: list[Run]) -> list[Run]:
    """Return runs once they are over."""
    return [producers.api.wait_for_run(run.dag_id, run.dag_run_id, timeout_s=300) for run in runs]


def stretches_of(sessions: Sequence[date]) -> list[tuple[date, date]]:
    """Return first and last session of each stretch without a gap; weekends and holidays are none."""
    calendar = get_calendar()
    breaks = [(before, after) for before, after in pairwise(sessions) if calendar.next(before) != after]
    firsts = [sessions[0], *(after for _, after in breaks)]
    lasts = [*(before for before, _ in breaks), sessions[-1]]
    return list(zip(firsts, lasts, strict=True))


def manifest_of(producers: Producers, dataset: str, session: date) -> Manifest:
    manifest = producers.lake.manifest(dataset, session)
    assert manifest is not None, (dataset, session)
    return manifest


def published(producers: Producers, dataset: str, session: date, as_of: datetime | None = None) -> pd.DataFrame:
    return read(dataset, session, session, as_of=as_of, root=producers.lake_root).to_pandas()


def test_every_session_of_the_archive_gets_one_run_and_no_other_day_does(
    captured: Captured, bars: pd.DataFrame
) -> None:
    assert [run.partition_key for run in captured.equities] == [str(day) for day in sorted(bars["session"].unique())]
    assert {run.state for run in captured.equities + captured.others} == {"success"}
    assert {run.dag_id for run in captured.others} == {"options_discovery", "options_daily", "indices_daily"}


class TestStocks:
    def test_published_partitions_hold_exactly_the_archives_rows(
        self, captured: Captured, producers: Producers, bars: pd.DataFrame
    ) -> None:
        in_folder = pd.read_parquet(producers.lake_root / "clean" / "equities")
        for session, archived in bars.groupby("session"):
            same_values(published(producers, "equities", session), archived, TRADED)
            same_values(in_folder[in_folder["session"].astype(str) == str(session)], archived, TRADED)
            file = producers.lake_root / paths.partition("equities", session)
            same_values(pd.read_parquet(file, partitioning=None), archived, TRADED)
            assert [path.name for path in file.parent.iterdir()] == ["equities.parquet"]

    def test_manifests_count_the_archives_oddities_and_nothing_is_quarantined(
        self, captured: Captured, producers: Producers, bars: pd.DataFrame
    ) -> None:
        universe = sorted(bars["ticker"].unique())
        for session, archived in bars.groupby("session"):
            manifest = manifest_of(producers, "equities", session)
            counted = oddities(archived) | {"missing_regular_minutes": missing_minutes(archived, session)}
            assert manifest.warnings == counted, session
            assert (manifest.rows, manifest.quarantined_rows) == (len(archived), 0)
            expected = {ticker: int((archived["ticker"] == ticker).sum()) for ticker in universe}
            assert {ticker: known.rows for ticker, known in manifest.coverage.items()} == expected
            states = {ticker: Coverage.COMPLETE if rows else Coverage.EMPTY for ticker, rows in expected.items()}
            assert {ticker: known.state for ticker, known in manifest.coverage.items()} == states

    def test_the_readmes_figures_are_met(self, captured: Captured, producers: Producers, bars: pd.DataFrame) -> None:
        days = sorted(bars.loc[bars["file"] == SPY, "session"].unique())
        if not days:
            return  # another archive: the tests above hold for any
        assert len(days) == 6
        assert any((after - before).days > 1 for before, after in pairwise(days)), "no weekend in between"
        totals: Counter[str] = Counter()
        for day in days:
            manifest = manifest_of(producers, "equities", day)
            totals.update(manifest.warnings | {"rows": manifest.rows})
        assert {name: totals[name] for name in SPY_WEEK} == SPY_WEEK


class TestOptions:
    def test_one_percent_chooses_exactly_what_decimal_arithmetic_on_the_symbols_does(
        self,
        captured: Captured,
        producers: Producers,
        underlyings: pd.DataFrame,
        option_bars: pd.DataFrame,
        listed: pd.DataFrame,
    ) -> None:
        for session, archived in option_bars.groupby("session"):
            chosen = published(producers, "contracts", session, captured.narrowed_utc)
            expected: dict[str, float] = {}
            for underlying, traded in trading_until(listed, session, NARROW["lookahead_days"]).groupby("underlying"):
                is_its = underlyings["ticker"].isin([underlying, f"I:{underlying}"])
                regular = underlyings[is_its & (underlyings["session"] == session) & (underlyings["minute"] >= OPEN)]
                opening_price = regular["open"].iloc[0]
                expected |= dict.fromkeys(near(traded, opening_price)["ticker"], opening_price)
            assert expected, session
            assert dict(zip(chosen["ticker"], chosen["opening_price"], strict=True)) == expected
            assert set(chosen["opening_price_source"]) == {"open_close"}
            theirs = archived[archived["ticker"].isin(expected)]
            same_values(published(producers, "options", session, captured.narrowed_utc), theirs, TRADED)

    def test_wide_strikes_find_every_contract_listed(
        self, captured: Captured, producers: Producers, option_bars: pd.DataFrame, listed: pd.DataFrame
    ) -> None:
        columns = [*LISTED.values(), "ticker", "exercise_style"]
        for session in option_bars["session"].unique():
            alive = trading_until(listed, session, WIDE["lookahead_days"])
            same_values(published(producers, "contracts", session).sort_values("ticker"), alive, columns)
            manifest = manifest_of(producers, "contracts", session)
            states = {
                underlying: Coverage.COMPLETE if underlying in set(alive["underlying"]) else Coverage.UNKNOWN_TICKER
                for underlying in listed["underlying"].unique()
            }
            assert {underlying: known.state for underlying, known in manifest.coverage.items()} == states
            assert manifest.quarantined_rows == 0

    def test_wide_strikes_capture_every_contract_that_traded_value_for_value(
        self, captured: Captured, producers: Producers, option_bars: pd.DataFrame, listed: pd.DataFrame
    ) -> None:
        for session, archived in option_bars.groupby("session"):
            same_values(published(producers, "options", session), archived, TRADED)
            manifest = manifest_of(producers, "options", session)
            rows = archived["ticker"].value_counts()
            expected = {
                ticker: (Coverage.COMPLETE, rows[ticker]) if ticker in rows else (Coverage.EMPTY, 0)
                for ticker in trading_until(listed, session, WIDE["lookahead_days"])["ticker"]
            }
            assert {ticker: (known.state, known.rows) for ticker, known in manifest.coverage.items()} == expected
            assert manifest.warnings == oddities(archived) | {"print_after_close": is_late(archived).sum()}
            assert manifest.quarantined_rows == 0

    def test_what_the_narrow_rule_had_captured_is_not_asked_for_again(
        self, captured: Captured, producers: Producers, option_bars: pd.DataFrame
    ) -> None:
        asked = Counter(
            (request.session, request.ticker)
            for request in producers.simulator.requests
            if str(request.ticker).startswith("O:")
        )
        for session in option_bars["session"].unique():
            for ticker in manifest_of(producers, "options", session).coverage:
                assert asked.pop((session, ticker)) == 1, (session, ticker)
        assert asked == {}

    def test_the_readmes_figures_of_aapl_are_met(
        self, captured: Captured, producers: Producers, option_bars: pd.DataFrame
    ) -> None:
        if AAPL not in set(option_bars["file"]):
            return  # another archive: the tests above hold for any
        session = date(2014, 6, 6)
        contracts = published(producers, "contracts", session)
        contracts = contracts[contracts["underlying"] == "AAPL"]
        assert (len(contracts), sum(day.weekday() == 5 for day in contracts["expiration"])) == (2352, 1246)
        traded = published(producers, "options", session).merge(contracts, on="ticker")
        assert len(traded) == 22_067
        expiring = traded.loc[traded["expiration"] == session, "ts"].dt.tz_convert("America/New_York")
        assert str(expiring.max()) == "2014-06-06 16:00:00-04:00"
        assert manifest_of(producers, "options", session).warnings["print_after_close"] == 12
        stock = published(producers, "equities", session)
        traded = traded.merge(stock, left_on=["underlying", "ts"], right_on=["ticker", "ts"], suffixes=("", "_stock"))
        traded = traded[traded["ts"] < get_calendar().hours(session).close]
        intrinsic = np.where(traded["right"] == "call", 1, -1) * (traded["close_stock"] - traded["strike"])
        assert (traded["close"] < intrinsic - 5e-5).sum() == 574  # prices are whole 1/10000 $

    def test_the_readmes_figures_of_spx_are_met_its_two_roots_each_with_hours_of_their_own(
        self, captured: Captured, producers: Producers, option_bars: pd.DataFrame
    ) -> None:
        if SPX not in set(option_bars["file"]):
            return  # another archive: the tests above hold for any
        session = date(2021, 1, 4)
        traded = published(producers, "options", session).merge(
            published(producers, "contracts", session)[["ticker", "underlying"]], on="ticker"
        )
        assert roots_of(traded).value_counts().to_dict() == {"SPXW": 1918, "SPX": 348}
        assert set(traded["underlying"]) == {"SPX"}
        assert (traded["ts"] >= get_calendar().hours(session).close).sum() == 65
        assert manifest_of(producers, "options", session).warnings["print_after_close"] == 0


def test_indices_arrive_value_for_value_and_what_merely_repeats_after_the_close_is_marked(
    captured: Captured, producers: Producers, index_bars: pd.DataFrame
) -> None:
    for session, archived in index_bars.groupby("session"):
        bars = published(producers, "indices", session)
        same_values(bars, archived, ["ticker", "ts", *PRICES])
        marks = is_stale(archived)
        assert bars["is_stale"].tolist() == marks.tolist()
        manifest = manifest_of(producers, "indices", session)
        counted = {"stale_bar": marks.sum(), "missing_regular_minutes": missing_minutes(archived, session)}
        assert manifest.warnings == counted | {"duplicates_dropped": 0}
        if INDEX in set(archived["file"]):  # what the README says of it
            assert (len(bars), marks.sum(), set(bars["close"][bars["is_stale"]])) == (411, 20, {3700.65})
