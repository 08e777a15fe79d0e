"""`lake.read` in the shares of one day and in coarser bars: what splits it uses, and when it refuses."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Coverage, Lake, TickerCoverage, read
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.schemas import EQUITIES, RATES, SPLITS
from tests.builders import complete, submission

FRIDAY, MONDAY, LATER = date(2014, 6, 6), date(2014, 6, 9), date(2014, 6, 10)
START = datetime(2014, 6, 10, tzinfo=UTC)
APPLE = {"ticker": "AAPL", "execution_date": MONDAY, "split_from": 1.0, "split_to": 7.0, "split_id": "E1"}


def minutes(ticker: str, session: date, *closes: float) -> pa.Table:
    opened = get_calendar().hours(session).open
    rows = [
        {"ticker": ticker, "ts": opened + n * timedelta(minutes=1), "volume": 700.0, "vwap": close, "transactions": 3}
        | dict.fromkeys(("open", "high", "low", "close"), close)
        for n, close in enumerate(closes)
    ]
    return pa.Table.from_pylist(rows, schema=EQUITIES)


@pytest.fixture
def lake(root: str) -> Lake:
    lake = Lake.open(root, simulated=True, clock=SimulatedClock(START, speed=1))
    for session, apple in ((FRIDAY, 645.57), (MONDAY, 93.70)):
        put(lake, submission(minutes("AAPL", session, apple), minutes("SPY", session, 195.0), session=session))
    return lake


def put(lake: Lake, what: object) -> None:
    publish(lake, what, FileLayout(SinkSettings(), "snappy"))  # type: ignore[arg-type]


@pytest.fixture
def know(lake: Lake) -> Callable[..., None]:
    """Return `know(session, *splits, **states)`, which publishes what was known of AAPL's and SPY's splits."""

    def know(session: date, *splits: dict[str, object], **states: Coverage) -> None:
        coverage = {
            ticker: TickerCoverage(state)
            for ticker, state in ({"AAPL": Coverage.COMPLETE, "SPY": Coverage.EMPTY} | states).items()
        }
        table = pa.Table.from_pylist(list(splits), schema=SPLITS)
        put(lake, submission(dataset="splits", session=session, table=table, coverage=coverage))

    return know


def closes(root: str, ticker: str = "AAPL", **how: object) -> list[float]:
    table = read("equities", FRIDAY, MONDAY, ticker, ["close"], adjust="splits", root=root, **how)  # type: ignore[arg-type]
    return [float(close) for close in table["close"].to_pylist()]


def test_apples_seven_for_one_is_smooth_in_the_shares_of_its_day(root: str, know: Callable[..., None]) -> None:
    know(MONDAY, APPLE)
    assert closes(root) == [pytest.approx(645.57 / 7, abs=1e-12), 93.70]
    assert closes(root, "SPY") == [195.0, 195.0]
    table = read("equities", FRIDAY, FRIDAY, "AAPL", adjust="splits", root=root)
    assert (table.schema, table["volume"].to_pylist()) == (EQUITIES, [4900.0])


def test_by_default_nothing_is_adjusted(root: str, know: Callable[..., None]) -> None:
    know(MONDAY, APPLE)
    assert read("equities", FRIDAY, MONDAY, "AAPL", ["close"], root=root)["close"].to_pylist() == [645.57, 93.70]


def test_the_newest_splits_decide_and_those_announced_beyond_their_session_do_not(
    root: str, know: Callable[..., None]
) -> None:
    second = APPLE | {"execution_date": LATER, "split_to": 2.0, "split_id": "E2"}
    know(MONDAY, APPLE, second)
    assert closes(root)[1] == 93.70
    know(LATER, APPLE, second)
    assert closes(root)[1] == 93.70 / 2


def test_splits_older_than_the_last_bar_are_refused_with_the_session_to_backfill(
    root: str, know: Callable[..., None]
) -> None:
    know(FRIDAY)
    with pytest.raises(LakeError, match=r"no splits of 2014-06-09 or later .* backfill splits --start 2014-06-09"):
        closes(root)
    table = read("equities", FRIDAY, FRIDAY, "AAPL", adjust="splits", root=root)
    assert table["close"].to_pylist() == [645.57]


def test_a_range_may_end_after_the_last_bar(root: str, know: Callable[..., None]) -> None:
    know(MONDAY, APPLE)
    table = read("equities", FRIDAY, "2030-01-01", "AAPL", ["close"], adjust="splits", root=root)
    assert table["close"].to_pylist() == pytest.approx([645.57 / 7, 93.70])


@pytest.mark.parametrize(
    "state", [Coverage.FAILED, Coverage.PARTIAL, Coverage.NOT_ENTITLED, Coverage.UNKNOWN_TICKER, Coverage.QUARANTINED]
)
def test_a_ticker_whose_splits_are_not_proven_is_refused_by_name(
    root: str, know: Callable[..., None], state: Coverage
) -> None:
    know(MONDAY, AAPL=state)
    with pytest.raises(LakeError, match="splits of 2014-06-09 do not tell those of AAPL: fetch them"):
        read("equities", FRIDAY, MONDAY, adjust="splits", root=root)
    assert closes(root, "SPY") == [195.0, 195.0]


def test_a_ticker_that_splits_were_never_asked_for_is_refused(root: str, lake: Lake, know: Callable[..., None]) -> None:
    put(lake, submission(minutes("NEW", MONDAY, 5.0), session=MONDAY, coverage=complete(minutes("NEW", MONDAY, 5.0))))
    know(MONDAY, APPLE)
    with pytest.raises(LakeError, match="do not tell those of NEW"):
        closes(root, "NEW")


def test_as_of_an_instant_the_splits_of_that_time_hold(root: str, lake: Lake, know: Callable[..., None]) -> None:
    clock = lake.clock
    assert isinstance(clock, SimulatedClock)
    before = clock.now()
    know(MONDAY)
    unsplit = clock.now()
    know(MONDAY, APPLE)
    assert closes(root, as_of=clock.now())[0] == pytest.approx(645.57 / 7)
    assert closes(root, as_of=unsplit)[0] == 645.57
    with pytest.raises(LakeError, match="or later were published by 2014-06-10"):
        closes(root, as_of=before)


def test_no_bars_need_no_splits(root: str, lake: Lake) -> None:
    assert read("equities", FRIDAY, MONDAY, "NONE", adjust="splits", root=root).equals(EQUITIES.empty_table())


def test_coarser_bars_are_made_of_adjusted_minutes(root: str, lake: Lake, know: Callable[..., None]) -> None:
    more = minutes("AAPL", FRIDAY, *[645.57] * 5, 700.0)
    put(lake, submission(more, session=FRIDAY, stage_id="s2"))
    know(MONDAY, APPLE)
    bars = read("equities", FRIDAY, FRIDAY, "AAPL", ["high", "volume"], every="5min", adjust="splits", root=root)
    assert bars["high"].to_pylist() == [pytest.approx(645.57 / 7), 100.0]
    assert bars["volume"].to_pylist() == [5 * 4900.0, 4900.0]
    assert pc.sum(read("equities", FRIDAY, MONDAY, every="1d", root=root)["transactions"]).as_py() == 27


@pytest.mark.parametrize(
    ("dataset", "how", "message"),
    [
        ("indices", {"adjust": "splits"}, "adjust='splits' of indices: only equities"),
        ("equities", {"adjust": "dividends"}, "adjust='dividends' of equities: .* only for splits"),
        ("rates", {"every": "1d"}, "every='1d' of rates: only minute bars"),
        ("rates", {"tickers": "SPY"}, "rates has no column ticker; it has: date"),
    ],
)
def test_what_cannot_be_computed_is_refused(
    root: str, lake: Lake, dataset: str, how: dict[str, str], message: str
) -> None:
    with pytest.raises(LakeError, match=message):
        read(dataset, FRIDAY, MONDAY, root=root, **how)  # type: ignore[arg-type]


def test_the_whole_of_a_feed_is_published_under_one_name(root: str, lake: Lake) -> None:
    table = pa.Table.from_pylist([{"date": FRIDAY, "tenor_months": 120, "rate": 0.026}], schema=RATES)
    whole = {"*": TickerCoverage(Coverage.COMPLETE, rows=1)}
    put(lake, submission(dataset="rates", session=MONDAY, table=table, coverage=whole))
    assert read("rates", MONDAY, MONDAY, root=root).equals(table)
