"""What a chain says of every minute, against plain loops and by named cases."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bellwether.consolidate.smile import AGGREGATES, aggregate_chain

OPEN = datetime(2024, 1, 18, 14, 30, tzinfo=UTC)
FIRST, SECOND = date(2024, 1, 19), date(2024, 1, 26)
MAX_AGE = timedelta(minutes=15)


def print_(minute: int, right: str, strike: float, iv: float | None, **other: Any) -> dict[str, Any]:
    expiration = other.get("expiration", FIRST)
    return {
        "ticker": f"O:X{expiration:%y%m%d}{right[0].upper()}{strike}",
        "ts": OPEN + timedelta(minutes=minute),
        "right": right,
        "strike": strike,
        "iv": iv,
        "delta": 0.5,
        "volume": 1.0,
        "expiration": expiration,
        "settlement": "pm",
        "is_adjusted": False,
        "t_years": 0.01,
        "rate": 0.0,
        "dividend_yield": 0.0,
    } | other


TYPES = {"expiration": pa.date32(), "ts": pa.timestamp("ms", "UTC"), "iv": pa.float64(), "is_adjusted": pa.bool_()}


def told(*prints: dict[str, Any], spot: float = 100.0, minutes: int = 20) -> list[dict[str, Any]]:
    names = print_(0, "call", 1.0, 0.1)
    schema = pa.schema(
        [
            (name, TYPES.get(name, pa.string() if isinstance(value, str) else pa.float64()))
            for name, value in names.items()
        ]
    )
    grid = np.array([(OPEN + timedelta(minutes=each)).timestamp() * 1000 for each in range(minutes)], np.int64)
    table = aggregate_chain(
        pa.Table.from_pylist(list(prints), schema).sort_by([("ticker", "ascending"), ("ts", "ascending")]),
        grid,
        np.full(minutes, spot),
        max_age=MAX_AGE,
    )
    assert table.schema == AGGREGATES
    return table.to_pylist()


def test_a_minute_knows_the_prints_of_itself_and_before_and_none_after() -> None:
    rows = told(print_(3, "put", 99.0, 0.2), print_(5, "call", 101.0, 0.3))
    assert rows[2]["chain_expirations"] == []
    assert rows[3]["chain_expirations"] == [FIRST]
    assert rows[3]["chain_atm_iv"] == [None]
    assert rows[5]["chain_atm_iv"] == [pytest.approx(0.25, abs=1e-3)]


def test_a_print_counts_until_it_is_too_old() -> None:
    rows = told(print_(0, "put", 99.0, 0.2), print_(0, "call", 101.0, 0.3))
    assert [row["chain_atm_iv"] != [None] for row in rows] == [True] * 16 + [False] * 4


def test_volatility_at_the_money_is_linear_in_log_moneyness_between_the_nearest_strikes_out_of_the_money() -> None:
    [row, *_] = told(
        print_(0, "put", 98.0, 0.9),
        print_(0, "put", 99.0, 0.2),
        print_(0, "call", 102.0, 0.3),
        print_(0, "call", 99.0, 5.0),  # in the money
        print_(0, "put", 102.0, 5.0),
    )
    low, high = np.log(99 / 100), np.log(102 / 100)
    assert row["chain_atm_iv"] == [pytest.approx(0.2 + 0.1 * -low / (high - low), rel=1e-12)]


def test_a_strike_at_the_forward_is_the_money_by_the_mean_of_call_and_put() -> None:
    [row, *_] = told(print_(0, "put", 100.0, 0.2), print_(0, "call", 100.0, 0.3), print_(0, "call", 101.0, 0.9))
    assert row["chain_atm_iv"] == [0.25]


def test_money_is_at_the_forward_not_at_the_spot() -> None:
    carried = {"rate": 0.02, "t_years": 1.0}
    [row, *_] = told(
        print_(0, "put", 100 * np.exp(0.01), 0.2, **carried), print_(0, "call", 100 * np.exp(0.03), 0.3, **carried)
    )
    assert row["chain_atm_iv"] == [pytest.approx(0.25, rel=1e-9)]


def test_wings_are_at_25_delta_between_prints_on_both_sides_of_it() -> None:
    prints = [
        print_(0, "put", 95.0, 0.40, delta=-0.20),
        print_(0, "put", 97.0, 0.30, delta=-0.30),
        print_(0, "put", 100.0, 0.20, delta=-0.50),
        print_(0, "call", 103.0, 0.22, delta=0.25),
    ]
    [row, *_] = told(*prints)
    assert row["chain_atm_iv"] == [0.20]
    assert row["chain_skew_25d"] == [pytest.approx(0.35 - 0.22)]
    assert row["chain_butterfly_25d"] == [pytest.approx((0.35 + 0.22) / 2 - 0.20)]
    [row, *_] = told(*prints[1:])  # nothing beyond 25 delta on the puts' side
    assert row["chain_skew_25d"] == [None]


def test_term_slope_is_from_the_first_to_the_last_expiration_that_has_a_money() -> None:
    near = [print_(0, "put", 100.0, 0.2)]
    far = [print_(0, "call", 100.0, 0.3, expiration=SECOND)]
    assert told(*near, *far)[0]["chain_term_slope"] == pytest.approx(0.1 / (7 / 365))
    assert told(*near)[0]["chain_term_slope"] is None


def test_volumes_count_unsolved_and_adjusted_prints_too_and_the_ratio_runs_from_the_first_print_on() -> None:
    rows = told(
        print_(0, "put", 99.0, None, volume=3.0),
        print_(1, "call", 99.0, 0.2, volume=2.0, is_adjusted=True),
        print_(2, "call", 99.0, 0.2, volume=4.0),
        print_(30, "call", 99.0, 0.2, volume=9.0),
    )
    assert [row["chain_volume"] for row in rows[:4]] == [3.0, 2.0, 4.0, 0.0]
    assert [row["chain_put_call_ratio"] for row in rows[:4]] == [None, 1.5, 0.5, 0.5]
    assert rows[1]["chain_expirations"] == []


def test_a_print_that_begins_as_the_last_minute_ends_is_of_no_minute() -> None:
    rows = told(print_(-1, "call", 99.0, 0.2), print_(4, "call", 99.0, 0.2), print_(5, "call", 99.0, 0.2), minutes=5)
    assert [row["chain_volume"] for row in rows] == [0.0, 0.0, 0.0, 0.0, 1.0]


def test_settled_in_the_morning_and_at_the_close_are_two_smiles() -> None:
    [row, *_] = told(
        print_(0, "call", 100.0, 0.3, ticker="O:SPXW", settlement="pm"),
        print_(0, "call", 100.0, 0.2, ticker="O:SPX", settlement="am"),
    )
    assert (row["chain_expirations"], row["chain_atm_iv"]) == ([FIRST, FIRST], [0.2, 0.3])


def test_a_minute_without_a_price_of_the_underlying_has_no_money() -> None:
    [row, *_] = told(print_(0, "put", 100.0, 0.2), spot=float("nan"))
    assert (row["chain_atm_iv"], row["chain_volume"]) == ([None], 1.0)


def test_an_empty_chain_says_nothing_at_every_minute() -> None:
    [row, *_] = told(minutes=2)
    assert row == dict.fromkeys(AGGREGATES.names) | {
        "chain_expirations": [],
        "chain_atm_iv": [],
        "chain_skew_25d": [],
        "chain_butterfly_25d": [],
        "chain_volume": 0.0,
    }


def test_shuffling_the_future_leaves_the_past_as_it_was() -> None:
    generator = np.random.default_rng(5)
    prints = [
        print_(
            int(generator.integers(20)),
            str(generator.choice(["call", "put"])),
            float(generator.integers(90, 110)),
            float(generator.uniform(0.1, 0.5)),
            delta=float(generator.uniform(-1, 1)),
            expiration=(FIRST, SECOND)[int(generator.integers(2))],
        )
        for _ in range(400)
    ]
    unique = list({(each["ticker"], each["ts"]): each for each in prints}.values())
    now = OPEN + timedelta(minutes=10)
    past = [each for each in unique if each["ts"] <= now]
    future = [each | {"iv": 9.0, "volume": 99.0} for each in unique if each["ts"] > now]
    assert told(*past, *future)[:11] == told(*unique)[:11]
    assert told(*past)[:11] == told(*unique)[:11]
