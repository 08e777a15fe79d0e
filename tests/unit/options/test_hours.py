"""Named sessions and expirations whose hours and last days are known, and what holds for all of them."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.errors import NotASession
from bellwether.options.hours import (
    exercise_style,
    is_monthly,
    last_trading_day,
    product,
    settled_at,
    settlement_day,
    trading_hours,
)
from bellwether.options.symbols import OptionSymbol

ROOTS = st.sampled_from(["AAPL", "SPY", "SPX", "SPXW", "VIX", "MXEA", "SPY1"])
STYLES = {"AAPL": "american", "SPY": "american", "SPX": "european", "VIX": "european", "OEX": "american"}
EXPIRATIONS = st.dates(date(2014, 1, 2), date(2032, 12, 31))


def _day(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("root", "expiration", "session", "end"),
    [
        ("AAPL", "2014-06-21", "2014-06-06", "16:00"),
        ("AAPL", "2014-07-03", "2014-07-03", "13:00"),  # a half day, and the last of that week's expiration
        ("SPY", "2014-06-21", "2014-06-06", "16:15"),
        ("SPY", "2014-06-21", "2014-06-20", "16:15"),  # funds trade late on their last day too
        ("SPY", "2024-12-20", "2024-11-29", "13:15"),
        ("SPY1", "2024-12-20", "2024-11-29", "13:15"),  # adjusted like the one it came from
        ("SPX", "2021-01-15", "2021-01-04", "16:15"),
        ("SPX", "2021-01-15", "2021-01-14", "16:15"),
        ("SPXW", "2021-01-06", "2021-01-04", "16:15"),
        ("SPXW", "2021-01-04", "2021-01-04", "16:00"),  # settled by the close, so nothing to trade after it
        ("SPXW", "2024-07-03", "2024-07-03", "13:00"),
        ("SPXW", "2024-07-05", "2024-07-03", "13:15"),
        ("VIX", "2021-01-20", "2021-01-19", "16:15"),
        ("NOSUCH", "2021-01-15", "2021-01-15", "16:00"),
    ],
)
def test_a_contract_trades_from_the_opening_until(root: str, expiration: str, session: str, end: str) -> None:
    start, until = trading_hours(root, _day(expiration), _day(session))
    assert f"{start.astimezone(NEW_YORK):%Y-%m-%d %H:%M}" == f"{session} 09:30"
    assert f"{until.astimezone(NEW_YORK):%Y-%m-%d %H:%M}" == f"{session} {end}"


def test_after_its_last_trading_day_a_contract_has_no_hours() -> None:
    with pytest.raises(ValueError, match="SPX of 2021-01-15 last traded on 2021-01-14, before 2021-01-15"):
        trading_hours("SPX", _day("2021-01-15"), _day("2021-01-15"))


def test_a_day_without_trading_has_no_hours() -> None:
    with pytest.raises(NotASession, match="nearest: 2021-01-15, 2021-01-19"):
        trading_hours("SPXW", _day("2021-01-20"), _day("2021-01-18"))


@pytest.mark.parametrize(
    ("root", "expiration", "last"),
    [
        ("AAPL", "2014-06-21", "2014-06-20"),  # Saturdays until February 2015
        ("SPX", "2014-06-21", "2014-06-19"),
        ("AAPL", "2014-04-19", "2014-04-17"),  # ... after Good Friday
        ("SPX", "2014-04-19", "2014-04-16"),
        ("AAPL", "2014-07-03", "2014-07-03"),  # a Thursday, since the Fourth was a Friday
        ("AAPL", "2015-02-20", "2015-02-20"),
        ("SPX", "2021-01-15", "2021-01-14"),
        ("SPXW", "2021-01-15", "2021-01-15"),
        ("SPXW", "2021-01-04", "2021-01-04"),
        ("SPX", "2019-04-18", "2019-04-17"),  # the month of Good Friday 2019-04-19
        ("RUT", "2022-04-14", "2022-04-13"),  # ... and of 2022-04-15
        ("NDX", "2022-04-14", "2022-04-13"),
        ("VIX", "2021-01-20", "2021-01-19"),
        ("VIX", "2014-03-18", "2014-03-17"),
        ("VIXW", "2021-01-13", "2021-01-12"),
        ("MXEA", "2021-01-15", "2021-01-14"),
        ("SPXW", "2025-01-09", "2025-01-08"),  # a day of mourning
        ("SPY", "2030-04-19", "2030-04-18"),  # Good Friday, years beyond the sessions known
    ],
)
def test_the_last_trading_day_of_an_expiration_is(root: str, expiration: str, last: str) -> None:
    assert last_trading_day(root, _day(expiration)) == _day(last)


@pytest.mark.parametrize(
    ("root", "expiration", "instant"),
    [
        ("AAPL", "2014-06-13", "2014-06-13 16:00"),
        ("AAPL", "2014-06-21", "2014-06-20 16:00"),
        ("SPY", "2014-06-21", "2014-06-20 16:00"),  # though it trades until 16:15
        ("SPX", "2014-06-21", "2014-06-20 09:30"),
        ("SPX", "2021-01-15", "2021-01-15 09:30"),
        ("SPXW", "2021-01-15", "2021-01-15 16:00"),
        ("SPXW", "2024-07-03", "2024-07-03 13:00"),
        ("VIX", "2021-01-20", "2021-01-20 09:30"),
        ("MXEA", "2021-01-15", "2021-01-15 16:00"),
        ("SPX", "2031-01-17", "2031-01-17 09:30"),  # beyond the sessions known
        ("AAPL", "2031-01-17", "2031-01-17 16:00"),
    ],
)
def test_what_a_contract_pays_is_decided_at(root: str, expiration: str, instant: str) -> None:
    assert f"{settled_at(root, _day(expiration)).astimezone(NEW_YORK):%Y-%m-%d %H:%M}" == instant


@pytest.mark.parametrize("root", ["SPX", "NDX", "RUT", "DJX", "VIX", "VIXW"])
def test_these_roots_settle_by_the_opening(root: str) -> None:
    assert product(root).settlement == "am"


@pytest.mark.parametrize("root", ["SPXW", "XSP", "NDXP", "RUTW", "OEX", "XEO", "MXEF", "SPY", "AAPL", "AAPL1", "VIXY"])
def test_these_roots_settle_by_the_close(root: str) -> None:
    assert product(root).settlement == "pm"


@pytest.mark.parametrize(
    ("root", "expiration"),
    [
        ("AAPL", "2014-06-21"),
        ("AAPL", "2014-04-19"),
        ("AAPL", "2015-01-17"),
        ("AAPL", "2015-02-20"),
        ("SPX", "2021-01-15"),
        ("SPXW", "2021-01-15"),
        ("AAPL", "2019-04-18"),
        ("AAPL", "2026-06-18"),  # Juneteenth is a third Friday
        ("SPY", "2028-01-21"),
        ("VIX", "2021-01-20"),
        ("VIX", "2014-03-18"),  # the Friday 30 days on would be Good Friday
        ("VIX", "2019-03-19"),
        ("VIX", "2025-12-17"),  # counted from January
    ],
)
def test_standard_monthly_expirations_are(root: str, expiration: str) -> None:
    assert is_monthly(root, _day(expiration))


@pytest.mark.parametrize(
    ("root", "expiration"),
    [
        ("AAPL", "2014-06-13"),
        ("AAPL", "2014-06-27"),
        ("AAPL", "2014-07-03"),
        ("SPXW", "2021-01-14"),
        ("SPXW", "2021-01-19"),
        ("VIX", "2021-01-15"),
        ("VIXW", "2021-01-13"),
        ("VIX", "2019-03-20"),
    ],
)
def test_no_other_expiration_is_a_standard_monthly_one(root: str, expiration: str) -> None:
    assert not is_monthly(root, _day(expiration))


@given(ROOTS, EXPIRATIONS)
def test_last_day_and_settlement_are_in_order_and_trading_ends_soon_before_the_expiration(
    root: str, expiration: date
) -> None:
    last, settled = last_trading_day(root, expiration), settlement_day(expiration)
    assert last <= settled <= expiration
    assert (last == settled) is (root not in ("SPX", "VIX", "MXEA"))
    assert expiration - last <= timedelta(days=6)
    assert settlement_day(last) == last


@given(EXPIRATIONS.filter(lambda day: day < get_calendar().last))
def test_where_sessions_are_known_the_settlement_day_is_the_last_of_them(expiration: date) -> None:
    assert settlement_day(expiration) == get_calendar().sessions(date(2013, 1, 2), expiration)[-1]


@given(st.integers(2014, 2032), st.integers(1, 12), ROOTS)
def test_every_month_has_one_standard_monthly_settlement(year: int, month: int, root: str) -> None:
    days = [date(year, month, 1) + timedelta(days=n) for n in range(28)]
    assert len({settlement_day(day) for day in days if is_monthly(root, day)}) == 1


def test_real_bars_end_when_trading_does(archive: Path) -> None:
    session = _day("2021-01-04")
    bars = pq.read_table(archive / "bars_option_SPX_20210104.parquet", columns=["ticker", "t"])
    assert bars.num_rows
    for ticker, t_ms in zip(bars["ticker"].to_pylist(), bars["t"].to_pylist(), strict=True):
        symbol = OptionSymbol.parse(ticker)
        start, end = trading_hours(symbol.root, symbol.expiration, session)
        assert start.timestamp() <= t_ms / 1000 < end.timestamp()


@pytest.mark.parametrize("underlying", STYLES)
def test_options_on_indices_are_exercised_at_the_end_but_oex(underlying: str) -> None:
    assert exercise_style(underlying) == STYLES[underlying]
