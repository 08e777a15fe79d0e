"""Whatever two tables of a dataset hold, their difference is that of two dictionaries by key."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwether.quality.difference import difference, measure
from bellwether.schemas import EQUITIES, INDICES, NEWS, RATES
from tests.builders import bars

START = datetime(2025, 7, 1, 14, tzinfo=UTC)

KEYS = st.tuples(st.sampled_from(["A", "AA", "B"]), st.integers(0, 4))
VALUES = st.tuples(st.sampled_from([1.0, 2.0]), st.sampled_from([None, 1.5]), st.sampled_from([None, 3]))
SESSIONS = st.dictionaries(KEYS, VALUES, max_size=12)


def table(rows: dict[tuple[str, int], tuple[float, float | None, int | None]]) -> pa.Table:
    listed = [
        dict(
            zip(
                EQUITIES.names,
                (ticker, START + timedelta(minutes=minute), price, price, price, price, 10.0, vwap, trades),
                strict=True,
            )
        )
        for (ticker, minute), (price, vwap, trades) in sorted(rows.items())
    ]
    return pa.Table.from_pylist(listed, EQUITIES)


@settings(max_examples=60, deadline=None)
@given(SESSIONS, SESSIONS)
def test_rows_that_are_new_gone_and_otherwise_are_those_of_two_dictionaries(
    before: dict[tuple[str, int], tuple[float, float | None, int | None]],
    after: dict[tuple[str, int], tuple[float, float | None, int | None]],
) -> None:
    found = difference(table(before), table(after), "equities")
    old, new = sorted(before), sorted(after)
    assert [new[place] for place in found.added] == [key for key in new if key not in before]
    assert [old[place] for place in found.removed] == [key for key in old if key not in after]
    changed = [key for key in new if key in before and before[key] != after[key]]
    assert [new[place] for place in found.changed_after] == changed
    assert [old[place] for place in found.changed_before] == changed
    arrived = {key: row for key, row in after.items() if before.get(key) != row}
    assert found.arrived.equals(table(arrived))


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("kept", [0.02, 0.9, 0.999, 1.0])
def test_rows_that_come_and_go_among_many_are_found_in_whatever_order_they_are(kept: float, is_sorted: bool) -> None:
    rng = np.random.default_rng(3)
    keys = [(f"T{ticker}", minute) for ticker in range(7) for minute in range(390)]

    def drawn() -> list[tuple[str, int]]:
        chosen = [key for key, is_kept in zip(keys, rng.random(len(keys)) < kept, strict=True) if is_kept]
        return chosen if is_sorted else [chosen[place] for place in rng.permutation(len(chosen))]

    def tabled(rows: list[tuple[str, int]], values: dict[tuple[str, int], float]) -> pa.Table:
        price = [values[row] for row in rows]
        columns = {
            "ticker": [ticker for ticker, _ in rows],
            "ts": [START + timedelta(minutes=minute) for _, minute in rows],
            "transactions": [1] * len(rows),
        }
        return pa.table(
            [pa.array(columns.get(name, price), EQUITIES.field(name).type) for name in EQUITIES.names], schema=EQUITIES
        )

    old, new = drawn(), drawn()
    then = dict.fromkeys(keys, 1.0)
    now = {key: 2.0 if rng.random() < 0.1 else 1.0 for key in keys}
    found = difference(tabled(old, then), tabled(new, now), "equities")
    assert {new[place] for place in found.added} == set(new) - set(old)
    assert {old[place] for place in found.removed} == set(old) - set(new)
    changed = [new[place] for place in found.changed_after]
    assert changed == [key for key in new if key in set(old) and now[key] == 2.0]
    assert [old[place] for place in found.changed_before] == changed


def test_of_one_article_the_time_alone_tells_rows_apart() -> None:
    def news(*minutes: int) -> pa.Table:
        key = {
            "ticker": ["SPY"] * len(minutes),
            "published_utc": [START + timedelta(minutes=minute) for minute in minutes],
            "article_id": ["a"] * len(minutes),
            "version": [1] * len(minutes),
        }
        columns = [pa.array(key.get(name, [None] * len(minutes)), NEWS.field(name).type) for name in NEWS.names]
        return pa.table(columns, schema=NEWS)

    found = difference(news(0, 1), news(1, 2), "news")
    assert (list(found.added), list(found.removed), list(found.changed_after)) == ([1], [0], [])


def test_beside_nothing_all_is_new_or_gone() -> None:
    some, nothing = bars("SPY"), EQUITIES.empty_table()
    for none in (nothing, pa.table([pa.chunked_array([], field.type) for field in EQUITIES], schema=EQUITIES)):
        assert list(difference(none, some, "equities").added) == [0, 1, 2, 3, 4]
        assert list(difference(some, none, "equities").removed) == [0, 1, 2, 3, 4]
        assert difference(none, none, "equities").rows == 0


def test_a_difference_of_bars_is_told_in_basis_points_and_volume() -> None:
    before = bars("SPY")
    rows = before.to_pylist()
    rows[1]["close"] *= 1.001
    rows[1]["volume"] += 50.0
    rows[2]["vwap"] = None
    gone = rows.pop(3)
    rows.append(rows[-1] | {"ts": rows[-1]["ts"] + timedelta(minutes=1), "volume": 7.0})
    found = measure(difference(before, pa.Table.from_pylist(rows, EQUITIES), "equities"))
    assert (found.bars, found.changed, found.added, found.removed) == (5, 2, 1, 1)
    assert found.max_move_bp == pytest.approx(10.0)
    assert found.volume_difference == pytest.approx(50.0 + 7.0 - gone["volume"])
    assert found.volume_moved == pytest.approx(50.0 + 7.0 + gone["volume"])
    assert found.rows.select(["kind", "move_bp", "volume_difference"]).to_pylist() == [
        {"kind": "changed", "move_bp": pytest.approx(10.0), "volume_difference": 50.0},
        {"kind": "changed", "move_bp": 0.0, "volume_difference": 0.0},
        {"kind": "removed", "move_bp": None, "volume_difference": -gone["volume"]},
        {"kind": "added", "move_bp": None, "volume_difference": 7.0},
    ]


def test_of_indices_there_is_no_volume_to_differ() -> None:
    before = bars("I:VIX").select(INDICES.names[:-1]).append_column("is_stale", pa.repeat(False, 5)).cast(INDICES)
    found = measure(difference(before, before.slice(1), "indices"))
    assert (found.removed, found.volume, found.volume_moved) == (1, 0.0, 0.0)
    assert found.rows["volume_difference"].to_pylist() == [None]


def test_keys_of_other_types_are_told_apart() -> None:
    def rates(*rows: tuple[int, int, float]) -> pa.Table:
        listed = [{"date": date(2025, 7, day), "tenor_months": tenor, "rate": rate} for day, tenor, rate in rows]
        return pa.Table.from_pylist(listed, RATES)

    found = difference(
        rates((1, 3, 4.0), (1, 6, 4.1), (2, 3, 4.2)), rates((1, 6, 4.15), (2, 3, 4.2), (3, 3, 4.3)), "rates"
    )
    assert (list(found.added), list(found.removed), list(found.changed_after)) == ([2], [0], [0])


def test_no_rows_differ_from_none() -> None:
    assert difference(EQUITIES.empty_table(), EQUITIES.empty_table(), "equities").rows == 0
    assert difference(EQUITIES.empty_table(), bars("SPY"), "equities").arrived.equals(bars("SPY"))
