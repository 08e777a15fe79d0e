"""Published minutes beside published day bars: which tickers are compared, and when nothing is."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.ingest.crosscheck import crosscheck_session, why_incomparable
from bellwether.lake import Coverage, Lake, TickerCoverage
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.lake.rollup import roll_up
from bellwether.schemas import DAILY_BARS
from tests.builders import SESSION, bars, submission

LAYOUT = FileLayout(SinkSettings(), "snappy")
TICKERS = ("AAPL", "QQQ", "SPY")
MINUTES = pa.concat_tables([bars(ticker, minutes=390) for ticker in TICKERS])
WHOLE = {"*": TickerCoverage(Coverage.COMPLETE, stage_id="s1")}


def days(**changes: Any) -> pa.Table:
    """Return the day bars that the minutes add up to, some with other values, and one of a ticker more."""
    rows = [row | {"date": SESSION} | changes.get(row["ticker"], {}) for row in roll_up(MINUTES, "1d").to_pylist()]
    return pa.Table.from_pylist([*rows, rows[0] | {"ticker": "XOM"}], schema=DAILY_BARS)


def put_minutes(lake: Lake, table: pa.Table = MINUTES, **coverage: TickerCoverage) -> None:
    known = {ticker: TickerCoverage(Coverage.COMPLETE, stage_id="s1") for ticker in TICKERS}
    publish(lake, submission(table=table, coverage=known | coverage), LAYOUT)


def put_days(lake: Lake, table: pa.Table, coverage: dict[str, TickerCoverage] | None = None) -> None:
    publish(lake, submission(dataset="daily_bars", table=table, coverage=coverage or WHOLE), LAYOUT)


def test_minutes_that_add_up_have_no_difference_and_other_tickers_are_counted_alone(lake: Lake) -> None:
    put_minutes(lake)
    put_days(lake, days())
    check = crosscheck_session(lake, SESSION)
    assert (check.tickers, check.others, check.differences.num_rows, check.tickers_by_warning) == (3, 1, 0, {})


def test_extended_hours_play_no_part(lake: Lake) -> None:
    early = bars("SPY", minutes=1).to_pylist()[0]
    early |= {"ts": get_calendar().hours(SESSION).pre_open, "high": 999.0, "volume": 1e9}
    put_minutes(lake, pa.concat_tables([MINUTES, pa.Table.from_pylist([early], schema=MINUTES.schema)]))
    put_days(lake, days())
    assert crosscheck_session(lake, SESSION).differences.num_rows == 0


def test_each_defect_gives_its_warning_and_no_other(lake: Lake) -> None:
    high, low = (days()[name][TICKERS.index("SPY")].as_py() for name in ("high", "low"))
    doubled = [row | {"volume": row["volume"] * (1 + (row["ticker"] == "QQQ"))} for row in MINUTES.to_pylist()]
    from_noon, to_the_end = (get_calendar().hours(SESSION).open + timedelta(minutes=n) for n in (120, 380))
    # All of SPY's afternoon but the minutes that made its prices.
    kept = [
        row
        for row in doubled
        if row["ticker"] != "SPY"
        or not from_noon <= row["ts"] < to_the_end
        or high in row.values()
        or low in row.values()
    ]
    put_minutes(lake, pa.Table.from_pylist(kept, schema=MINUTES.schema))
    put_days(lake, days(AAPL={"close": 120.0, "high": 120.0}))
    assert crosscheck_session(lake, SESSION).tickers_by_warning == {
        "close_differs": ["AAPL"],
        "high_differs": ["AAPL"],
        "volume_above_official": ["QQQ"],
        "volume_far_below_official": ["SPY"],
    }


def test_a_ticker_that_failed_is_one_without_minutes_and_one_without_trades_is_none(lake: Lake) -> None:
    put_minutes(lake, XOM=TickerCoverage(Coverage.FAILED), ENDA=TickerCoverage(Coverage.EMPTY, stage_id="s1"))
    put_days(lake, days().filter(pa.array([row != "QQQ" for row in days()["ticker"].to_pylist()])))
    assert crosscheck_session(lake, SESSION).tickers_by_warning == {"no_minutes": ["XOM"], "no_official": ["QQQ"]}


def test_until_both_are_published_it_says_which_is_not(lake: Lake) -> None:
    assert why_incomparable(lake, SESSION) == (
        "nothing to compare: equities and daily_bars of 2025-07-01 are not published"
    )
    put_minutes(lake)
    with pytest.raises(LakeError, match="nothing to compare: daily_bars of 2025-07-01 are not published"):
        crosscheck_session(lake, SESSION)


def test_day_bars_that_the_plan_lacks_are_no_differences(lake: Lake) -> None:
    put_minutes(lake)
    put_days(lake, DAILY_BARS.empty_table(), {"*": TickerCoverage(Coverage.NOT_ENTITLED, reason="not in your plan")})
    assert why_incomparable(lake, SESSION) == (
        "nothing to compare: daily_bars are published as not_entitled (not in your plan)"
    )
