"""What was recorded as one table, whoever recorded it; and that table beside the daily pull's."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations

import pyarrow as pa
import pytest

from bellwether.schemas import EQUITIES, INDEX_BARS
from bellwether.streaming.compact import Compacted, compact_rows
from bellwether.streaming.decode import decode
from bellwether.streaming.inbox import Frame
from bellwether.streaming.reconcile import reconcile
from tests.unit.streaming.feeds import NOON, SESSION, bar, frame


def written(writer: str, *frames: Frame, first: int = 0) -> pa.Table:
    table = decode(frames, first).table
    return table.append_column("writer", pa.repeat(writer, table.num_rows))


def compacted(*parts: pa.Table) -> Compacted:
    return compact_rows(pa.concat_tables(parts), EQUITIES, SESSION)


ORIGINAL, CHANGED = frame(bar(v=100)), frame(bar(v=120, h=12.0), arrived_s=130)


def test_the_last_arrival_of_a_minute_stands_and_all_are_counted() -> None:
    result = compacted(written("a", frame(bar("SPY", 1), bar("AAPL"), arrived_s=125), CHANGED, ORIGINAL, ORIGINAL))
    assert result.table.schema == EQUITIES
    assert result.table.select(["ticker", "ts", "volume", "high", "transactions"]).to_pylist() == [
        {"ticker": "AAPL", "ts": NOON, "volume": 100.0, "high": 11.0, "transactions": None},
        {"ticker": "SPY", "ts": NOON, "volume": 120.0, "high": 12.0, "transactions": None},
        {"ticker": "SPY", "ts": NOON + timedelta(minutes=1), "volume": 100.0, "high": 11.0, "transactions": None},
    ]
    assert (result.arrivals, result.repeated, result.changed) == (5, 1, 1)


@pytest.mark.parametrize(
    "parts",
    [
        [("a", [ORIGINAL, CHANGED])],
        [("a", [ORIGINAL]), ("b", [CHANGED])],
        [("a", [ORIGINAL, CHANGED]), ("b", [CHANGED])],
        [("b", [ORIGINAL]), ("a", [ORIGINAL, CHANGED])],
        [("a", [ORIGINAL, CHANGED]), ("b", [ORIGINAL, CHANGED])],
    ],
)
def test_however_two_writers_overlap_the_table_is_the_same(parts: Sequence[tuple[str, list[Frame]]]) -> None:
    alone = compacted(written("x", ORIGINAL, CHANGED)).table
    for order in permutations(parts):
        assert compacted(*(written(writer, *frames) for writer, frames in order)).table == alone


def test_of_two_arrivals_in_one_millisecond_at_two_writers_the_larger_volume_stands() -> None:
    at_once = Frame(CHANGED.content, ORIGINAL.arrived_ms)
    table = compacted(written("a", ORIGINAL, first=7), written("b", at_once)).table
    assert table["volume"].to_pylist() == [120.0]


def test_rows_of_another_day_are_left_out_and_nothing_recorded_is_no_rows() -> None:
    assert compacted(written("a", frame(bar(minute=60 * 24)))).table.num_rows == 0
    nothing = written("a", frame(bar())).slice(0, 0)
    result = compact_rows(nothing, INDEX_BARS, SESSION)
    assert (result.table.schema, result.table.num_rows, result.arrivals) == (INDEX_BARS, 0, 0)


def test_missing_extra_and_changed_minutes_are_told_apart() -> None:
    daily = compacted(written("a", frame(*(bar(minute=minute) for minute in range(4))))).table
    streamed = compacted(
        written("a", frame(bar(minute=0), bar(minute=1, h=11.011, v=90), bar(minute=2, v=99), bar(minute=9)))
    ).table
    result = reconcile(streamed, daily)
    assert (result.minutes, result.missing, result.extra, result.changed) == (3, 1, 1, 2)
    assert result.max_move_bp == pytest.approx(10.0)
    assert (result.streamed_volume, result.daily_volume, result.volume_difference) == (389.0, 400.0, -11.0)
    assert result.differences.select(["kind", "volume_difference"]).to_pylist() == [
        {"kind": "changed", "volume_difference": -10.0},
        {"kind": "changed", "volume_difference": -1.0},
        {"kind": "missing", "volume_difference": None},
        {"kind": "extra", "volume_difference": None},
    ]


def test_equal_tables_and_empty_ones_do_not_differ() -> None:
    table = compacted(written("a", frame(bar()))).table
    assert reconcile(table, table).differences.num_rows == 0
    empty = reconcile(table.slice(0, 0), table.slice(0, 0))
    assert (empty.minutes, empty.max_move_bp, empty.volume_difference) == (0, 0.0, 0.0)


def test_indices_are_compared_without_volume() -> None:
    table = compact_rows(written("a", frame(bar("I:VIX"))), INDEX_BARS, SESSION).table
    result = reconcile(table, table)
    assert (result.minutes, result.changed, result.daily_volume) == (1, 0, 0.0)
