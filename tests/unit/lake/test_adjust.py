import sys
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwether.calendar import NEW_YORK
from bellwether.errors import LakeError
from bellwether.lake.adjust import adjust_for_splits
from bellwether.schemas import EQUITIES, SPLITS, TIMESTAMP
from tests.builders import bars

FRIDAY, MONDAY = date(2014, 6, 6), date(2014, 6, 9)
PRICES = ("open", "high", "low", "close", "vwap")


def splits(*rows: tuple[str, date, float, float]) -> pa.Table:
    values = [dict(zip(SPLITS.names, (*row, str(number)), strict=True)) for number, row in enumerate(rows)]
    return pa.Table.from_pylist(values, schema=SPLITS)


APPLE = splits(("AAPL", MONDAY, 1.0, 7.0))


def bar(
    day: date, close: float = 100.0, ticker: str = "AAPL", clock: str = "10:00", volume: float = 1000.0
) -> pa.Table:
    ts = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK)
    row = dict.fromkeys(PRICES, close) | {"ticker": ticker, "ts": ts, "volume": volume, "transactions": 3}
    return pa.Table.from_pylist([row], schema=EQUITIES)


def closes(table: pa.Table) -> list[float]:
    values: list[float] = table["close"].to_pylist()
    return values


def test_apple_before_its_seven_for_one_split() -> None:
    adjusted = adjust_for_splits(bar(FRIDAY, 645.57), APPLE, MONDAY)
    assert closes(adjusted) == [645.57 / 7]
    assert closes(adjusted)[0] == pytest.approx(92.224285714285714, rel=1e-16)
    assert adjusted["volume"].to_pylist() == [7000.0]


def test_apples_real_session_before_its_split(archive: Path) -> None:
    raw = pq.read_table(archive / "bars_equity_AAPL_20140606.parquet")
    names = {"t": "ts", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume", "vw": "vwap"}
    raw = raw.rename_columns([names.get(name, name) for name in raw.column_names])
    raw = raw.append_column("transactions", raw["n"]).set_column(1, "ts", raw["ts"].cast(TIMESTAMP))
    raw = raw.select(EQUITIES.names).cast(EQUITIES)
    adjusted = adjust_for_splits(raw, APPLE, MONDAY)
    assert len(adjusted) == 783
    for name in PRICES:
        expected = [None if value is None else float(Fraction(value) / 7) for value in raw[name].to_pylist()]
        assert adjusted[name].to_pylist() == expected
    assert adjusted["volume"].to_pylist() == [value * 7 for value in raw["volume"].to_pylist()]
    assert adjusted.select(["ticker", "ts", "transactions"]).equals(raw.select(["ticker", "ts", "transactions"]))
    # The last bar ends at 20:00 New York, midnight UTC: Friday's still. In Friday's shares nothing changes.
    assert adjust_for_splits(raw, APPLE, FRIDAY).equals(raw)


def test_a_split_is_in_force_on_its_own_session_from_the_first_pre_market_minute() -> None:
    table = pa.concat_tables([bar(FRIDAY, clock="19:59"), bar(MONDAY, clock="04:00"), bar(MONDAY, clock="19:59")])
    assert closes(adjust_for_splits(table, APPLE, MONDAY)) == [100 / 7, 100.0, 100.0]


@pytest.mark.parametrize("day", [date(2025, 1, 2), date(2025, 7, 1)])
def test_a_late_bar_belongs_to_its_new_york_date_not_to_its_utc_date(day: date) -> None:
    late = bar(day, clock="21:30")
    assert late["ts"][0].as_py().date() == day + timedelta(days=1)
    next_day = splits(("AAPL", day + timedelta(days=1), 1.0, 2.0))
    assert closes(adjust_for_splits(late, next_day, day + timedelta(days=1))) == [50.0]
    assert closes(adjust_for_splits(late, splits(("AAPL", day, 1.0, 2.0)), day)) == [100.0]


def test_a_split_after_the_basis_is_not_known_yet() -> None:
    assert adjust_for_splits(bar(FRIDAY), APPLE, MONDAY - timedelta(days=1)).equals(bar(FRIDAY))


def test_bars_after_the_basis_are_refused() -> None:
    with pytest.raises(LakeError, match="cannot be put in the shares of 2014-06-06"):
        adjust_for_splits(bar(MONDAY, clock="04:00"), APPLE, FRIDAY)


def test_a_reverse_split_raises_prices_and_lowers_volumes() -> None:
    adjusted = adjust_for_splits(bar(FRIDAY, 0.37, volume=1234.0), splits(("AAPL", MONDAY, 10.0, 1.0)), MONDAY)
    assert closes(adjusted) == [3.7]
    assert adjusted["volume"].to_pylist() == [123.4]


def test_several_splits_multiply_and_those_before_a_bar_do_not() -> None:
    days = [date(2014, 6, 9), date(2020, 8, 31), date(2022, 1, 3)]
    several = splits(("AAPL", days[1], 1.0, 4.0), ("AAPL", days[2], 3.0, 2.0), ("AAPL", days[0], 1.0, 7.0))
    table = pa.concat_tables([bar(day) for day in (FRIDAY, days[0], days[1], days[2])])
    assert closes(adjust_for_splits(table, several, days[2])) == [100 * 3 / 56, 100 * 3 / 8, 100 * 3 / 2, 100.0]


def test_splits_that_undo_each_other_change_nothing_to_the_last_bit() -> None:
    there_and_back = splits(("AAPL", MONDAY, 7.0, 1.0), ("AAPL", MONDAY, 1.0, 7.0))
    assert adjust_for_splits(bar(FRIDAY, 645.57), there_and_back, MONDAY).equals(bar(FRIDAY, 645.57))


def test_a_ratio_with_decimals_is_taken_as_written() -> None:
    adjusted = adjust_for_splits(bar(FRIDAY, 105.0, volume=100.0), splits(("AAPL", MONDAY, 1.0, 1.05)), MONDAY)
    assert closes(adjusted) == [100.0]
    assert adjusted["volume"].to_pylist() == [105.0]


def test_only_the_tickers_that_split_change_and_rows_keep_their_order() -> None:
    days = [bar(FRIDAY, ticker=ticker) for ticker in ("SPY", "AAPL", "O:AAPL140613C00645000", "AAPL", "MSFT")]
    splitting = splits(("AAPL", MONDAY, 1.0, 7.0), ("MSFT", MONDAY, 1.0, 2.0), ("GONE", MONDAY, 1.0, 2.0))
    adjusted = adjust_for_splits(pa.concat_tables(days), splitting, MONDAY)
    assert closes(adjusted) == [100.0, 100 / 7, 100.0, 100 / 7, 50.0]
    assert adjusted.schema.equals(EQUITIES)


def test_unknown_values_stay_unknown_and_columns_not_read_are_not_needed() -> None:
    table = bar(FRIDAY).set_column(7, EQUITIES.field("vwap"), pa.nulls(1, pa.float64()))
    assert adjust_for_splits(table, APPLE, MONDAY)["vwap"].to_pylist() == [None]
    few = adjust_for_splits(bar(FRIDAY).select(["ts", "close", "ticker"]), APPLE, MONDAY)
    assert (
        few.to_pylist() == bar(FRIDAY).select(["ts", "close", "ticker"]).set_column(1, "close", [[100 / 7]]).to_pylist()
    )


def test_no_bars_or_no_splits_are_no_error() -> None:
    assert adjust_for_splits(EQUITIES.empty_table(), APPLE, MONDAY).equals(EQUITIES.empty_table())
    assert adjust_for_splits(bar(FRIDAY), splits(), MONDAY).equals(bar(FRIDAY))


days = st.dates(date(2025, 6, 26), date(2025, 7, 3))
factors = st.integers(1, 50).map(float)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), days, factors, factors), max_size=8), days)
def test_every_bar_equals_the_formula(rows: list[tuple[str, date, float, float]], basis: date) -> None:
    sessions = [day for day in (date(2025, 6, 27), date(2025, 6, 30), date(2025, 7, 1)) if day <= basis]
    table = pa.concat_tables(
        [EQUITIES.empty_table(), *(bars(ticker, day, minutes=2) for day in sessions for ticker in "AB")]
    )
    adjusted = adjust_for_splits(table, splits(*rows), basis)
    for raw, new in zip(table.to_pylist(), adjusted.to_pylist(), strict=True):
        session = raw["ts"].astimezone(NEW_YORK).date()
        ratio = Fraction(1)
        for ticker, day, split_from, split_to in rows:
            if ticker == raw["ticker"] and session < day <= basis:
                ratio *= Fraction(split_from) / Fraction(split_to)
        for name in PRICES:
            exact = Fraction(raw[name]) * ratio
            assert abs(Fraction(new[name]) - exact) <= exact * Fraction(sys.float_info.epsilon)
            if 1 in ratio.as_integer_ratio():
                assert new[name] == float(exact)
        assert new["volume"] == pytest.approx(float(Fraction(raw["volume"]) / ratio), rel=sys.float_info.epsilon)
        assert new["transactions"] == raw["transactions"]
