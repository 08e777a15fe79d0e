"""The choice against brute force, on real chains and on invented ones; what the rules accept and refuse."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bellwether.errors import NotASession
from bellwether.options.rules import ContractRule, ContractSelection, Strikes
from bellwether.options.selection import select
from bellwether.options.symbols import OptionSymbol

SESSION = date(2014, 6, 6)
FRIDAY = date(2014, 6, 13)

# Ladders in cents and prices with four decimals: both as decimal text, as they arrive.
LADDERS = st.lists(st.integers(1, 100_000).map(lambda cents: cents / 100), min_size=1, max_size=40, unique=True)
PRICES = st.integers(100, 10_000_000).map(lambda units: units / 10_000)


def _table(symbols: Sequence[OptionSymbol]) -> pa.Table:
    return pa.table(
        {
            "ticker": pa.array([str(symbol) for symbol in symbols], pa.string()),
            "underlying": pa.array(["AAPL" for _ in symbols], pa.string()),
            "right": pa.array([symbol.right for symbol in symbols], pa.string()),
            "exercise_style": pa.array(["american" for _ in symbols], pa.string()),
            "expiration": pa.array([symbol.expiration for symbol in symbols], pa.date32()),
            "strike": pa.array([symbol.strike for symbol in symbols], pa.float64()),
            "multiplier": pa.array([100.0 for _ in symbols], pa.float64()),
            "is_adjusted": pa.array([symbol.is_adjusted for symbol in symbols], pa.bool_()),
            "additional_underlyings": pa.array([None for _ in symbols], pa.string()),
        }
    )


def _chain(strikes: Sequence[float], expiration: date = FRIDAY, root: str = "AAPL") -> list[OptionSymbol]:
    return [OptionSymbol(root, expiration, right, strike) for strike in strikes for right in ("call", "put")]


def _expirations(days: Sequence[str], root: str = "AAPL") -> pa.Table:
    return _table([symbol for day in days for symbol in _chain([100.0], date.fromisoformat(day), root)])


def _chosen_days(table: pa.Table, session: date, **rule: Any) -> list[str]:
    chosen = select(table, 100.0, session, ContractRule(**rule))
    return [f"{day}" for day in sorted(set(chosen["expiration"].to_pylist()))]


def _strikes(ladder: Sequence[float], price: float, rule: Any) -> list[float]:
    chosen = select(_table(_chain(ladder)), price, SESSION, ContractRule.model_validate({"strikes": rule}))
    assert chosen["right"].to_pylist() == ["call", "put"] * (chosen.num_rows // 2)
    return sorted(set(chosen["strike"].to_pylist()))


def _real(archive: Path, name: str) -> pa.Table:
    rows = pq.read_table(archive / f"contracts_{name}.parquet").rename_columns(
        ["ticker", "underlying", "right", "exercise_style", "expiration", "strike", "multiplier"]
    )
    return rows.set_column(4, "expiration", rows["expiration"].cast(pa.date32()))


def _opening(archive: Path) -> float:
    bars = pq.read_table(archive / "bars_equity_AAPL_20140606.parquet")
    at_open_ms = pc.equal(bars["t"], 1_402_061_400_000)  # 09:30 New York
    return float(bars.filter(at_open_ms)["o"][0].as_py())


# Strikes


@pytest.mark.parametrize(
    ("price", "percent", "low", "high"),
    [
        (645.2, 1.0, 638.748, 651.652),
        (110.0, 10.0, 99.0, 121.0),
        (0.7, 10.0, 0.63, 0.77),
        (1.1, 10, 0.99, 1.21),  # in float64 1.1 * (1 - 0.1) is more than 0.99
        (50.0, 0.7, 49.65, 50.35),  # ... and 50 * (1 + 0.7 / 100) less than 50.35
        (2.3, 100.0, 0.0, 4.6),
    ],
)
def test_strikes_on_the_bounds_are_chosen_and_a_thousandth_beyond_none(
    price: float, percent: float, low: float, high: float
) -> None:
    beyond = [round(high + 0.001, 3), *([round(low - 0.001, 3)] if low else [])]
    assert _strikes([low, high, *beyond], price, {"percent": percent}) == [low, high]


@given(LADDERS, PRICES, st.integers(1, 10_000).map(lambda n: n / 100))
def test_a_band_holds_what_decimal_arithmetic_says(ladder: list[float], price: float, percent: float) -> None:
    text, reach = Decimal(repr(price)), Decimal(repr(percent)) * Decimal(repr(price))
    inside = [strike for strike in sorted(ladder) if abs(Decimal(repr(strike)) - text) * 100 <= reach]
    assert _strikes(ladder, price, {"percent": percent}) == inside


@given(LADDERS, PRICES, st.integers(1, 5000), st.integers(0, 5000))
def test_a_wider_band_loses_nothing(ladder: list[float], price: float, narrow: int, more: int) -> None:
    inner = Strikes(percent=narrow / 100).among(ladder, price)
    assert inner <= Strikes(percent=(narrow + more) / 100).among(ladder, price) <= set(ladder)


@given(LADDERS, PRICES, st.integers(1, 12))
def test_a_count_takes_the_nearest_below_and_as_many_above(ladder: list[float], price: float, count: int) -> None:
    below = sorted(strike for strike in ladder if strike <= price)
    above = sorted(strike for strike in ladder if strike > price)
    assert _strikes(ladder, price, {"count": count}) == [*below[-count:], *above[:count]]


@given(st.sets(st.integers(1, 3999), min_size=1).map(sorted), st.integers(1, 12))
def test_a_count_is_symmetrical_about_the_price(ladder: list[int], count: int) -> None:
    price = 2000.5
    mirrored = [4001 - strike for strike in ladder]
    chosen = Strikes(count=count).among([float(strike) for strike in ladder], price)
    assert {4001 - strike for strike in chosen} == Strikes(count=count).among([float(s) for s in mirrored], price)


@pytest.mark.parametrize(
    ("ladder", "price", "chosen"),
    [
        ([90, 95, 100, 105, 110], 100.0, [95, 100, 105, 110]),  # at the money counts as below
        ([90, 95, 105, 110], 100.0, [90, 95, 105, 110]),
        ([50, 99, 180, 400, 900], 100.0, [50, 99, 180, 400]),  # holes are no strikes
        ([90, 105, 110, 115], 100.0, [90, 105, 110]),  # the chain ends: the other side makes up for nothing
        ([105, 110, 115], 100.0, [105, 110]),
        ([80, 85, 90], 100.0, [85, 90]),
    ],
)
def test_two_strikes_a_side(ladder: list[float], price: float, chosen: list[float]) -> None:
    assert _strikes([float(strike) for strike in ladder], price, {"count": 2}) == chosen


def test_each_expiration_and_each_root_has_its_own_count() -> None:
    later = date(2014, 6, 12)
    contracts = [
        *_chain([99.0, 101.0, 102.0]),
        *_chain([50.0, 150.0], later),
        *_chain([66.67, 133.33], FRIDAY, "AAPL1"),
    ]
    chosen = select(_table(contracts), 100.0, SESSION, ContractRule(strikes=Strikes(count=1)))
    assert [str(symbol) for symbol in contracts if symbol.strike != 102.0] == chosen["ticker"].to_pylist()


def test_wide_takes_every_strike_and_needs_no_price() -> None:
    assert _strikes([1.0, 100.0, 5000.0], 100.0, "wide") == [1.0, 100.0, 5000.0]
    wide = ContractRule(strikes=Strikes.model_validate("wide"))
    assert (
        select(_table(_chain([1.0])), None, SESSION, wide)["chosen_by"].to_pylist()
        == ["any strike; expires within 7 days"] * 2
    )


def test_no_contract_in_the_band_is_no_row_with_all_columns() -> None:
    contracts = _table(_chain([90.0, 110.0]))
    chosen = select(contracts, 100.0, SESSION, ContractRule())
    assert chosen.num_rows == 0
    assert chosen.schema == contracts.schema.append(pa.field("chosen_by", pa.string(), nullable=False))


@pytest.mark.parametrize("price", [None, 0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("strikes", [{"percent": 1.0}, {"count": 2}])
def test_no_price_is_an_error_even_where_nothing_is_listed(price: float | None, strikes: Any) -> None:
    with pytest.raises(ValueError, match="is no opening price, and only wide"):
        select(_table([]), price, SESSION, ContractRule(strikes=strikes))


def test_adjusted_contracts_are_chosen_and_stay_flagged() -> None:
    contracts = _table([*_chain([100.0]), *_chain([100.0], root="AAPL1")])
    chosen = select(contracts, 100.0, SESSION, ContractRule())
    assert chosen["is_adjusted"].to_pylist() == [False, False, True, True]
    assert chosen.drop_columns("chosen_by") == contracts


# Expirations


def test_a_lookahead_includes_the_session_itself_and_its_last_day() -> None:
    listed = _expirations(["2014-06-05", "2014-06-06", "2014-06-12", "2014-06-13", "2014-06-14", "2014-06-16"])
    # The Saturday last trades on Friday the 13th, seven days away.
    assert _chosen_days(listed, SESSION) == ["2014-06-06", "2014-06-12", "2014-06-13", "2014-06-14"]
    assert _chosen_days(listed, SESSION, lookahead_days=0) == ["2014-06-06"]


def test_a_saturday_expiration_is_found_by_its_friday_and_gone_after_it() -> None:
    listed = _expirations(["2014-06-21"])
    assert _chosen_days(listed, date(2014, 6, 13), lookahead_days=6) == []
    assert _chosen_days(listed, date(2014, 6, 13), lookahead_days=7) == ["2014-06-21"]
    assert _chosen_days(listed, date(2014, 6, 20), lookahead_days=0) == ["2014-06-21"]
    assert _chosen_days(listed, date(2014, 6, 23), lookahead_days=30, monthlies=3) == []


def test_what_last_traded_the_day_before_is_not_chosen_on_its_settlement_day() -> None:
    listed = _table([*_chain([100.0], date(2021, 1, 15), "SPX"), *_chain([100.0], date(2021, 1, 15), "SPXW")])
    chosen = select(listed, 100.0, date(2021, 1, 15), ContractRule(monthlies=1))
    assert {OptionSymbol.parse(ticker).root for ticker in chosen["ticker"].to_pylist()} == {"SPXW"}
    assert select(listed, 100.0, date(2021, 1, 14), ContractRule(lookahead_days=0)).num_rows == 2


def test_a_day_without_trading_is_no_session_to_choose_for() -> None:
    with pytest.raises(NotASession):
        select(_expirations(["2014-06-21"]), 100.0, date(2014, 6, 21), ContractRule())


def test_monthlies_are_counted_as_listed_under_the_old_rule() -> None:
    listed = _expirations(
        ["2014-06-13", "2014-06-21", "2014-06-27", "2014-07-03", "2014-07-19", "2014-07-25", "2014-10-18", "2015-01-17"]
    )
    june, july, october = "2014-06-21", "2014-07-19", "2014-10-18"
    assert _chosen_days(listed, SESSION, lookahead_days=0, monthlies=1) == [june]
    assert _chosen_days(listed, SESSION, lookahead_days=7, monthlies=3) == ["2014-06-13", june, july, october]
    assert _chosen_days(listed, date(2014, 6, 23), lookahead_days=0, monthlies=1) == [july]


def test_monthlies_reach_a_thursday_before_good_friday_and_years_not_known_yet() -> None:
    listed = _expirations(["2019-04-12", "2019-04-18", "2019-05-17", "2030-04-18"])
    session = date(2019, 4, 1)
    assert _chosen_days(listed, session, lookahead_days=0, monthlies=1) == ["2019-04-18"]
    assert _chosen_days(listed, session, lookahead_days=0, monthlies=9) == ["2019-04-18", "2019-05-17", "2030-04-18"]


def test_months_are_counted_not_the_roots_that_share_them() -> None:
    months = [date(2014, 6, 21), date(2014, 7, 19)]
    listed = [*_chain([100.0], months[0], "SPX"), *_chain([100.0], date(2014, 6, 20), "SPXPM")]
    listed += _chain([100.0], months[1], "SPX")
    chosen = select(_table(listed), 100.0, SESSION, ContractRule(lookahead_days=0, monthlies=1))
    assert chosen["ticker"].to_pylist() == [str(symbol) for symbol in listed[:4]]


@given(
    st.lists(st.dates(SESSION - timedelta(days=10), SESSION + timedelta(days=60)), unique=True),
    st.integers(0, 60),
    st.integers(0, 20),
)
def test_a_longer_lookahead_loses_nothing(expirations: list[date], days: int, more: int) -> None:
    listed = _expirations([f"{day}" for day in expirations])
    near = _chosen_days(listed, SESSION, lookahead_days=days)
    assert {*near} <= {*_chosen_days(listed, SESSION, lookahead_days=days + more)}
    inside = {f"{day}" for day in expirations if SESSION <= day <= SESSION + timedelta(days=days)}
    assert inside <= {*near}


# Real chains


@pytest.mark.parametrize("strikes", [{"percent": 1.0}, "wide"])
def test_the_choice_from_a_real_chain_is_that_of_independent_arithmetic(archive: Path, strikes: Any) -> None:
    contracts, price = _real(archive, "AAPL_20140606"), _opening(archive)
    chosen = select(contracts, price, SESSION, ContractRule(strikes=strikes))
    # Of the chain's expirations only these two Fridays are at most seven days away.
    text = Decimal(repr(price))
    expected = [
        row["ticker"]
        for row in contracts.to_pylist()
        if row["ticker"][6:12] in ("140606", "140613")
        and (strikes == "wide" or text * 99 <= Decimal(row["ticker"][-8:]) / 10 <= text * 101)
    ]
    assert chosen["ticker"].to_pylist() == expected
    assert len(expected) == (326 if strikes == "wide" else 20)
    said = "strike within 1 % of 650" if strikes != "wide" else "any strike"
    assert set(chosen["chosen_by"].to_pylist()) == {f"{said}; expires within 7 days"}


def test_all_of_a_real_chain_can_be_had(archive: Path) -> None:
    contracts = _real(archive, "AAPL_20140606")
    everything = ContractRule(strikes=Strikes.model_validate("wide"), lookahead_days=1000)
    assert select(contracts, None, SESSION, everything).drop_columns("chosen_by") == contracts


def test_a_real_index_chain_gives_its_0dte_and_the_monthly_by_its_last_trading_day(archive: Path) -> None:
    contracts, session = _real(archive, "SPX_20210104"), date(2021, 1, 4)
    wide = Strikes.model_validate("wide")

    def days(**rule: Any) -> set[str]:
        chosen = select(contracts, None, session, ContractRule(strikes=wide, **rule))
        return {f"{day}" for day in chosen["expiration"].to_pylist()}

    assert days(lookahead_days=0) == {"2021-01-04"}
    assert days(lookahead_days=9) == {"2021-01-04", "2021-01-06", "2021-01-08"}
    assert days(lookahead_days=10) == days(monthlies=1) == {"2021-01-04", "2021-01-06", "2021-01-08", "2021-01-15"}


# What sources.yaml may hold


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "strike within 1 % of 645.2; expires within 7 days"),
        (
            {"strikes": {"percent": 2.5}, "lookahead_days": 0},
            "strike within 2.5 % of 645.2; expires on the session",
        ),
        (
            {"strikes": {"count": 10}, "lookahead_days": 1, "monthlies": 1},
            "strike one of 10 at or below and 10 above 645.2; expires within 1 day or on the next monthly expiration",
        ),
        (
            {"strikes": "wide", "monthlies": 3},
            "any strike; expires within 7 days or on one of the next 3 monthly expirations",
        ),
    ],
)
def test_a_rule_says_itself_in_words(rule: Any, words: str) -> None:
    assert ContractRule.model_validate(rule).words(645.2) == words


def test_an_override_changes_what_it_names_and_nothing_else() -> None:
    selection = ContractSelection.model_validate(
        {
            "strikes": {"percent": 2.0},
            "lookahead_days": 14,
            "overrides": {"AAPL": {"strikes": {"count": 5}}, "SPX": {"monthlies": 3}},
        }
    )
    assert selection.rule_for("MSFT") == selection
    assert selection.rule_for("AAPL") == ContractRule(strikes=Strikes(count=5), lookahead_days=14)
    assert selection.rule_for("SPX") == ContractRule(strikes=Strikes(percent=2.0), lookahead_days=14, monthlies=3)


@pytest.mark.parametrize("strikes", [{"percent": 1.5}, {"count": 3}, "wide"])
def test_a_selection_is_written_and_read_back(strikes: Any) -> None:
    selection = ContractSelection.model_validate(
        {
            "strikes": strikes,
            "lookahead_days": 3,
            "overrides": {"AAPL": {"strikes": "wide"}, "SPX": {"lookahead_days": 7}},
        }
    )
    assert selection.model_dump(mode="json")["strikes"] == strikes
    assert ContractSelection.model_validate_json(selection.model_dump_json()) == selection


@pytest.mark.parametrize(
    ("content", "where", "why"),
    [
        ({"strikes": "narrow"}, "strikes", r"strikes are \{percent: 1.0\}, \{count: 10\} or wide"),
        ({"strikes": {}}, "strikes", "or wide"),
        ({"strikes": {"percent": None}}, "strikes", "or wide"),
        ({"strikes": {"percent": 1.0, "count": 3}}, "strikes", "or wide"),
        ({"strikes": {"wide": True}}, "strikes", "or wide"),
        ({"strikes": {"percent": 0}}, "strikes.percent", "greater than 0"),
        ({"strikes": {"percent": 101}}, "strikes.percent", "less than or equal to 100"),
        ({"strikes": {"percent": float("nan")}}, "strikes.percent", "less than or equal to 100"),
        ({"strikes": {"count": 0}}, "strikes.count", "greater than or equal to 1"),
        ({"strikes": {"count": 1.5}}, "strikes.count", "valid integer"),
        ({"lookahead_days": -1}, "lookahead_days", "greater than or equal to 0"),
        ({"monthlies": -1}, "monthlies", "greater than or equal to 0"),
        ({"expirations": 3}, "expirations", "not permitted"),
        ({"overrides": ["AAPL"]}, "overrides", "valid dictionary"),
        ({"overrides": {"aapl": {}}}, "overrides.aapl.[key]", "is not a ticker"),
        ({"overrides": {"I:SPX": {}}}, "overrides.I:SPX.[key]", "is not a ticker"),
        ({"overrides": {"AAPL": "wide"}}, "overrides.AAPL", "valid dictionary"),
        ({"overrides": {"AAPL": {"overrides": {}}}}, "overrides.AAPL.overrides", "not permitted"),
        ("wide", "", "valid dictionary"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(content: Any, where: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        ContractSelection.model_validate(content)
    assert [".".join(map(str, error["loc"])) for error in refused.value.errors()] == [where]
