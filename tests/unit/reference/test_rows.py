from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from bellwether.errors import QualityError
from bellwether.reference.rows import TENOR_MONTHS, dividends_table, rates_table, splits_table, tickers_table
from bellwether.schemas import DIVIDENDS, RATES, SPLITS, TICKERS
from bellwether.sources.rows import Dividend, Split, Ticker, TreasuryYields

DAY = date(2014, 6, 9)


def split(**changes: Any) -> Split:
    return Split(
        **({"id": "s1", "ticker": "AAPL", "execution_date": DAY, "split_from": 1.0, "split_to": 7.0} | changes)
    )


def dividend(**changes: Any) -> Dividend:
    values = {"id": "d1", "ticker": "AAPL", "cash_amount": 0.47, "ex_dividend_date": DAY, "dividend_type": "CD"}
    return Dividend(**(values | changes))


def ticker(**changes: Any) -> Ticker:
    return Ticker(**({"ticker": "META", "market": "stocks", "locale": "us"} | changes))


def test_splits_are_sorted_by_ticker_and_date_in_their_schema() -> None:
    table = splits_table([split(id="b", ticker="TSLA"), split(id="c"), split(id="a", execution_date=date(2020, 8, 31))])
    assert table.schema.equals(SPLITS)
    assert table["split_id"].to_pylist() == ["c", "a", "b"]
    assert table.to_pylist()[0] == {
        "ticker": "AAPL",
        "execution_date": DAY,
        "split_from": 1.0,
        "split_to": 7.0,
        "split_id": "c",
    }


def test_the_same_ratio_on_one_day_under_two_ids_is_one_split() -> None:
    assert splits_table([split(id="b"), split(id="a"), split(id="c")])["split_id"].to_pylist() == ["a"]


def test_a_split_both_ways_on_one_day_stays_two_splits() -> None:
    there_and_back = [split(id="a", split_from=500.0, split_to=1.0), split(id="b", split_from=1.0, split_to=500.0)]
    assert len(splits_table(there_and_back)) == 2


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["split_from", "split_to"])
def test_a_split_factor_that_cannot_be_is_refused_with_its_reason(name: str, factor: float) -> None:
    with pytest.raises(QualityError, match=r"split s1 of AAPL on 2014-06-09 .*must be finite and positive"):
        splits_table([split(**{name: factor})])


def test_dividends_keep_their_currency_and_what_is_unknown_is_null() -> None:
    foreign = dividend(id="d2", currency="CAD", frequency=4, pay_date=date(2014, 7, 1), declaration_date=DAY)
    table = dividends_table([foreign, dividend()])
    assert table.schema.equals(DIVIDENDS)
    assert table["dividend_id"].to_pylist() == ["d1", "d2"]
    assert table["currency"].to_pylist() == [None, "CAD"]
    assert table["frequency"].to_pylist() == [None, 4]
    assert table["pay_date"].to_pylist() == [None, date(2014, 7, 1)]
    assert table["cash_amount"].to_pylist() == [0.47, 0.47]


def test_two_equal_dividends_on_one_day_under_two_ids_stay_two() -> None:
    assert len(dividends_table([dividend(id="a"), dividend(id="b")])) == 2


@pytest.mark.parametrize("amount", [-0.01, float("nan"), float("inf")])
def test_a_dividend_that_cannot_be_is_refused_with_its_reason(amount: float) -> None:
    with pytest.raises(QualityError, match="dividend d1 of AAPL on 2014-06-09 pays"):
        dividends_table([dividend(cash_amount=amount)])


def test_percents_become_the_fractions_that_are_written() -> None:
    written = {f"{hundredths / 100:.2f}": f"0.{hundredths:04d}" for hundredths in range(2000)}
    for percent, fraction in written.items():
        day = msgspec.json.decode(f'{{"date": "2014-06-06", "yield_10_year": {percent}}}', type=TreasuryYields)
        assert rates_table([day])["rate"].to_pylist() == [float(fraction)]


def test_rates_are_one_row_per_day_and_maturity_without_those_not_quoted() -> None:
    later = TreasuryYields(date=date(1962, 1, 3), yield_10_year=4.03, yield_1_year=3.24)
    table = rates_table([later, TreasuryYields(date=date(1962, 1, 2), yield_10_year=4.06, yield_1_month=-0.02)])
    assert table.schema.equals(RATES)
    rows = [(str(row["date"]), row["tenor_months"], row["rate"]) for row in table.to_pylist()]
    assert rows == [
        ("1962-01-02", 1, -0.0002),
        ("1962-01-02", 120, 0.0406),
        ("1962-01-03", 12, 0.0324),
        ("1962-01-03", 120, 0.0403),
    ]


def test_every_yield_the_vendor_has_has_its_maturity() -> None:
    names = [field.name for field in msgspec.structs.fields(TreasuryYields) if field.name != "date"]
    assert list(TENOR_MONTHS) == names
    for name, months in TENOR_MONTHS.items():
        _, number, unit = name.split("_")
        assert months == int(number) * {"month": 1, "year": 12}[unit]


def test_a_yield_that_is_not_finite_is_refused_with_its_reason() -> None:
    with pytest.raises(QualityError, match="yield_2_year of 2014-06-09 is nan"):
        rates_table([TreasuryYields(date=DAY, yield_2_year=float("nan"))])


def test_a_ticker_given_again_after_a_delisting_has_both_rows() -> None:
    delisted = datetime(2022, 1, 31, 5, 0, 0, 123_999, tzinfo=UTC)
    fund = ticker(name="Roundhill", active=False, delisted_utc=delisted, currency_name="usd")
    table = tickers_table([ticker(name="Meta Platforms", active=True), fund])
    assert table.schema.equals(TICKERS)
    assert table["name"].to_pylist() == ["Meta Platforms", "Roundhill"]
    assert table["listing_id"].to_pylist() == ["", "2022-01-31T05:00:00.123+00:00"]
    assert table["delisted_utc"].to_pylist() == [None, delisted.replace(microsecond=123_000)]
    assert table["currency"].to_pylist() == [None, "usd"]
    assert table["active"].to_pylist() == [True, False]


def test_whether_a_ticker_is_active_stays_unknown_where_the_vendor_does_not_say() -> None:
    assert tickers_table([ticker()])["active"].to_pylist() == [None]


MAKERS: dict[str, tuple[Callable[[Any], pa.Table], Any, Any]] = {
    "splits": (splits_table, split(), split(split_to=8.0)),
    "dividends": (dividends_table, dividend(), dividend(cash_amount=0.48)),
    "rates": (
        rates_table,
        TreasuryYields(date=DAY, yield_1_month=1.0),
        TreasuryYields(date=DAY, yield_1_month=1.1),
    ),
    "tickers": (tickers_table, ticker(), ticker(name="another")),
}


@pytest.mark.parametrize(("make", "row", "other"), MAKERS.values(), ids=MAKERS)
def test_rows_that_contradict_each_other_are_refused_and_repeated_ones_are_not(
    make: Callable[[Any], pa.Table], row: Any, other: Any
) -> None:
    assert make([row, row]).equals(make([row]))
    with pytest.raises(QualityError, match="contradicts itself"):
        make([row, other])


@pytest.mark.parametrize(("make", "row"), [(make, row) for make, row, _ in MAKERS.values()], ids=MAKERS)
def test_no_rows_are_an_empty_table_of_the_same_schema(make: Callable[[Any], pa.Table], row: Any) -> None:
    assert make([]).schema.equals(make([row]).schema)
    assert len(make([])) == 0
