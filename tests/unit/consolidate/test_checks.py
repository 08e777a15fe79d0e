"""Which prints contradict each other or the vendor: each check by small cases, what is marked and what is not."""

from datetime import date, timedelta
from math import exp
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import get_calendar
from bellwether.consolidate.checks import check_chain, count_by_expiration
from bellwether.quality.reasons import CHAIN_CHECKS
from bellwether.schemas import CHAIN, OPTIONS_SNAPSHOT
from tests.unit.consolidate.market import DAY
from tests.unit.consolidate.prints import chain_of, worth

OPEN = get_calendar().hours(DAY).open
NEAR, FAR = date(2025, 7, 18), date(2025, 8, 15)
SPOT, RATE = 200.0, 0.04
YEARS = {NEAR: 16 / 365, FAR: 44 / 365}
Row = dict[str, Any]


def print_(right: str, strike: float, price: float, expiration: date = NEAR, minute: int = 0, **other: Any) -> Row:
    row: Row = {
        "underlying": "AAPL",
        "ticker": f"O:AAPL{expiration:%y%m%d}{right[0].upper()}{strike * 1000:08.0f}",
        "ts": OPEN + timedelta(minutes=minute),
        "close": price,
        "right": right,
        "expiration": expiration,
        "strike": strike,
        "exercise_style": "american",
        "settlement": "pm",
        "is_adjusted": False,
        "spot": SPOT,
        "t_years": YEARS[expiration],
        "rate": RATE,
        "dividend_yield": 0.0,
        "iv": 0.3,
        "delta": 0.5 if right == "call" else -0.5,
        "iv_status": "ok",
        "is_american_biased": False,
    }
    return row | other


def unsolved(status: str) -> Row:
    return {"iv": None, "delta": None, "iv_status": status}


def quote(ticker: str, minute: float, **other: Any) -> Row:
    ts = OPEN + timedelta(minutes=minute)
    return {"underlying": "AAPL", "ticker": ticker, "ts": ts, "vendor_iv": 0.3, "vendor_delta": 0.5} | other


def checked(*prints: Row, snapshot: tuple[Row, ...] = ()) -> tuple[pa.Table, pa.Table]:
    chain = pa.Table.from_pylist([dict.fromkeys(CHAIN.names) | row for row in prints], CHAIN)
    chain = chain.sort_by([(name, "ascending") for name in ("underlying", "ticker", "ts")])
    found = check_chain(chain, pa.Table.from_pylist(list(snapshot), OPTIONS_SNAPSHOT))
    assert found.column_names == [name.value for name in CHAIN_CHECKS]
    assert len(found) == len(chain)
    return chain, found


def marked(check: str, *prints: Row, snapshot: tuple[Row, ...] = ()) -> dict[str, bool]:
    """Return for each contract that was compared whether it violates the check."""
    chain, found = checked(*prints, snapshot=snapshot)
    compared = found[check].is_valid()
    tickers, verdicts = (column.filter(compared).to_pylist() for column in (chain["ticker"], found[check]))
    return {f"{ticker[-9]}{int(ticker[-8:-3])}": verdict for ticker, verdict in zip(tickers, verdicts, strict=True)}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [("ok", False), ("at_intrinsic", False), ("out_of_range", False)]
    + [(status, True) for status in ("below_intrinsic", "below_european_bound", "above_bound")]
    + [(status, None) for status in ("stale_underlying", "no_underlying", "expired", "no_rate", "adjusted_contract")],
)
def test_a_price_is_out_of_bounds_where_its_status_says_so_and_not_judged_without_one(
    status: str, verdict: bool | None
) -> None:
    known = {} if status == "ok" else unsolved(status)
    assert checked(print_("call", 200, 5.0, **known))[1]["price_out_of_bounds"].to_pylist() == [verdict]


class TestParity:
    """Call less put is the forward, discounted, within what early exercise may pay."""

    LOW, HIGH = SPOT - 205, SPOT - 205 * exp(-RATE * YEARS[NEAR])
    TOLERANCE = 2 * 0.05 + 0.001 * SPOT

    @pytest.mark.parametrize(
        ("apart", "verdict"),
        [
            (LOW - TOLERANCE + 0.01, False),
            (LOW - TOLERANCE - 0.01, True),
            (HIGH + TOLERANCE - 0.01, False),
            (HIGH + TOLERANCE + 0.01, True),
        ],
    )
    def test_of_american_contracts_bounds_hold(self, apart: float, verdict: bool) -> None:
        prints = print_("call", 205, 10 + apart), print_("put", 205, 10.0)
        assert marked("parity_violated", *prints) == {"C205": verdict}

    def test_of_european_contracts_it_is_exact(self) -> None:
        for apart, verdict in ((self.HIGH - self.TOLERANCE + 0.01, False), (self.HIGH - self.TOLERANCE - 0.01, True)):
            prints = [
                print_(right, 205, price, exercise_style="european")
                for right, price in (("call", 10 + apart), ("put", 10.0))
            ]
            assert marked("parity_violated", *prints) == {"C205": verdict}

    def test_at_negative_rates_the_bounds_change_sides(self) -> None:
        rate = {"rate": -0.2, "t_years": 1.0}
        low = SPOT - 205 * exp(0.2)
        for apart in (low - 0.25, low + 10, -5.0 + 0.25):
            prints = print_("call", 205, 50 + apart, **rate), print_("put", 205, 50.0, **rate)
            assert marked("parity_violated", *prints) == {"C205": False}, apart

    def test_a_dividend_before_expiration_shows_unless_the_yield_knows_it(self) -> None:
        paid = SPOT * (1 - exp(-0.1 * YEARS[NEAR]))
        prints = [("call", 10 + self.LOW - paid), ("put", 10.0)]
        assert marked("parity_violated", *[print_(right, 205, price) for right, price in prints]) == {"C205": True}
        known = [print_(right, 205, price, dividend_yield=0.1) for right, price in prints]
        assert marked("parity_violated", *known) == {"C205": False}

    def test_only_prints_of_one_minute_strike_and_expiration_are_a_pair(self) -> None:
        call = print_("call", 205, 50.0)
        others = [
            *(print_("put", 205, 1.0, minute=1), print_("put", 205, 1.0, FAR), print_("put", 210, 1.0)),
            *(print_("put", 205, 1.0, settlement="am"), print_("put", 205, 1.0, underlying="MSFT")),
            print_("put", 205, 1.0, **unsolved("stale_underlying")),
        ]
        for other in others:
            assert marked("parity_violated", call, other) == {}, other
        assert marked("parity_violated", call, print_("put", 205, 1.0)) == {"C205": True}


class TestAlongStrikes:
    """Prices of one minute by strike."""

    def test_calls_fall_and_puts_rise(self) -> None:
        prices = ((200, 5.0), (205, 5.19), (210, 5.40))  # tolerance: two prints, half of 0.1 % of the spot
        calls = [print_("call", strike, price) for strike, price in prices]
        assert marked("not_monotone_in_strike", *calls) == {"C205": False, "C210": True}
        puts = [print_("put", strike, -price + 20) for strike, price in prices]
        assert marked("not_monotone_in_strike", *puts) == {"P205": False, "P210": True}

    def test_far_from_the_money_little_is_tolerated_and_without_a_delta_as_much_as_the_stock_moves(self) -> None:
        far = [print_("call", strike, price, delta=0.01) for strike, price in ((300, 0.10), (305, 0.25))]
        assert marked("not_monotone_in_strike", *far) == {"C305": True}
        unknown = [row | unsolved("below_intrinsic") for row in far]
        assert marked("not_monotone_in_strike", *unknown) == {"C305": False}

    def test_no_price_is_above_the_line_between_its_neighbours_whatever_their_distance(self) -> None:
        # On the line 205 is at 7.5; the tolerance is three prints and half of 0.1 % of the spot.
        for price, verdict in ((7.74, False), (7.76, True), (1.0, False)):
            prints = [print_("call", strike, value) for strike, value in ((200, 8.0), (205, price), (220, 6.0))]
            assert marked("not_convex_in_strike", *prints) == {"C205": verdict}

    def test_other_minutes_sides_and_expirations_are_no_neighbours(self) -> None:
        low = print_("call", 200, 5.0)
        for other in (
            print_("call", 205, 9.0, minute=1),
            print_("put", 205, 1.0),
            print_("call", 205, 9.0, FAR),
            print_("call", 205, 9.0, settlement="am"),
            print_("call", 205, 9.0, **unsolved("adjusted_contract")),
        ):
            assert marked("not_monotone_in_strike", low, other) == {}, other
            assert marked("not_convex_in_strike", low, other, print_("call", 210, 1.0)) == {}, other


class TestCalendar:
    """What lasts longer is worth as much."""

    def test_of_american_contracts_the_price_itself(self) -> None:
        for price, verdict in ((4.81, False), (4.79, True), (9.0, False)):
            prints = [print_("call", 200, 5.0), print_("call", 200, price, FAR)]
            assert checked(*prints)[1]["calendar_arbitrage"].to_pylist() == [None, verdict]

    def test_of_european_puts_less_by_the_interest_between(self) -> None:
        # At 250 the strike's interest of 28 days is 0.77 dollars: so much may the later put be cheaper.
        interest = 250 * (exp(RATE * (YEARS[FAR] - YEARS[NEAR])) - 1) * exp(-RATE * YEARS[FAR])
        bound = 50.0 - interest - 2 * 0.05 - 0.001 * SPOT
        for price, verdict in ((bound + 0.01, False), (bound - 0.01, True)):
            prints = [
                print_("put", 250, value, expiration, exercise_style="european", delta=-1.0)
                for expiration, value in ((NEAR, 50.0), (FAR, price))
            ]
            assert checked(*prints)[1]["calendar_arbitrage"].to_pylist() == [None, verdict]

    def test_other_strikes_and_minutes_are_not_compared(self) -> None:
        near = print_("call", 200, 5.0)
        for far in (
            print_("call", 205, 1.0, FAR),
            print_("call", 200, 1.0, FAR, minute=1),
            print_("put", 200, 1.0, FAR),
        ):
            assert checked(near, far)[1]["calendar_arbitrage"].null_count == 2

    def test_a_morning_and_a_close_of_one_date_are_two_expirations(self) -> None:
        morning = print_("call", 200, 5.0, settlement="am", t_years=YEARS[NEAR] - 0.0007, ticker="O:SPX")
        prints = [morning, print_("call", 200, 1.0, ticker="O:SPXW")]
        assert checked(*prints)[1]["calendar_arbitrage"].to_pylist() == [None, True]


class TestSnapshot:
    """The last print known to the snapshot, while it is young, against the vendor's volatility and delta."""

    CALL = print_("call", 200, 5.0)["ticker"]

    def test_the_last_print_before_it_counts_for_five_minutes_from_its_end(self) -> None:
        prints = [print_("call", 200, 5.0, minute=minute) for minute in (0, 1, 3)]
        for taken, expected in (
            (0.99, [None] * 3),
            (1.0, [False, None, None]),
            (3.5, [None, False, None]),
            (4.0, [None, None, False]),
            (9.0, [None, None, False]),
            (9.01, [None] * 3),
        ):
            found = checked(*prints, snapshot=(quote(self.CALL, taken),))[1]
            assert found["iv_far_from_vendor"].to_pylist() == expected, taken
            assert found["delta_far_from_vendor"].to_pylist() == expected, taken

    @pytest.mark.parametrize(
        ("vendors", "far"),
        [
            ({"vendor_iv": 0.329}, (False, False)),
            ({"vendor_iv": 0.335}, (True, False)),
            ({"vendor_iv": 0.27}, (True, False)),
            ({"vendor_delta": 0.54}, (False, False)),
            ({"vendor_delta": -0.5}, (False, True)),
            ({"vendor_iv": None}, (None, False)),
            ({"vendor_delta": float("nan")}, (False, None)),
            ({"bid": 5.2, "ask": 5.1, "vendor_iv": 9.0}, (None, None)),
            ({"bid": 5.1, "ask": 5.1}, (False, False)),
            ({"bid": 5.2, "ask": None}, (False, False)),
        ],
    )
    def test_far_apart_is_beyond_two_points_and_a_tenth_of_volatility_or_five_hundredths_of_delta(
        self, vendors: Row, far: tuple[bool | None, bool | None]
    ) -> None:
        found = checked(print_("call", 200, 5.0), snapshot=(quote(self.CALL, 1.0, **vendors),))[1]
        assert (found["iv_far_from_vendor"][0].as_py(), found["delta_far_from_vendor"][0].as_py()) == far

    def test_what_has_no_volatility_or_another_by_definition_is_not_compared(self) -> None:
        for other in (unsolved("below_intrinsic"), {"is_american_biased": True}):
            found = checked(print_("call", 200, 5.0, **other), snapshot=(quote(self.CALL, 1.0, vendor_iv=9.0),))[1]
            assert found["iv_far_from_vendor"].null_count == 1

    def test_contracts_without_prints_and_prints_without_quotes_are_left(self) -> None:
        found = checked(print_("call", 200, 5.0), snapshot=(quote("O:AAPL250718C00999000", 1.0),))[1]
        assert found["iv_far_from_vendor"].null_count == 1


def test_every_row_stays_and_counts_are_by_expiration() -> None:
    prints = [
        *(print_("call", 200, 5.0), print_("call", 205, 9.0), print_("call", 210, 1.0)),
        *(print_("call", 200, 1.0, FAR), print_("put", 200, 4.0, FAR)),
    ]
    chain, found = checked(*prints)
    counted = {
        (row["expiration"], row["check"]): (row["compared"], row["violations"])
        for row in count_by_expiration(chain, found)
    }
    assert counted == {
        ("2025-07-18", "price_out_of_bounds"): (3, 0),
        ("2025-07-18", "not_monotone_in_strike"): (2, 1),
        ("2025-07-18", "not_convex_in_strike"): (1, 1),
        ("2025-08-15", "price_out_of_bounds"): (2, 0),
        ("2025-08-15", "parity_violated"): (1, 1),
        ("2025-08-15", "calendar_arbitrage"): (1, 1),
    }


def test_an_empty_chain_has_no_findings() -> None:
    chain, found = checked()
    assert count_by_expiration(chain, found) == []


def test_prices_of_the_formula_violate_nothing() -> None:
    strikes, rights = range(180, 225, 5), ("C", "P")
    tickers = [
        f"O:AAPL{expiration:%y%m%d}{right}{strike * 1000:08d}"
        for expiration in (NEAR, FAR)
        for right in rights
        for strike in strikes
    ]
    asked = chain_of(*[(ticker, 5, 20.0) for ticker in tickers], dividend_yield=0.01)
    priced = [(row["ticker"], 5, worth(row, 0.3, dividend_yield=0.01)) for row in asked]
    priced = [each for each, row in zip(priced, asked, strict=True) if each[2] > max(0, _intrinsic(row))]
    chain = pa.Table.from_pylist(chain_of(*priced, dividend_yield=0.01), CHAIN)
    found = check_chain(chain, OPTIONS_SNAPSHOT.empty_table())
    for name in found.column_names[:5]:
        assert not pc.any(found[name]).as_py(), name
        assert pc.count(found[name]).as_py() > 10, name


def _intrinsic(row: Row) -> float:
    gain: float = row["spot"] - row["strike"]
    return gain if row["right"] == "call" else -gain
