"""What was recorded as one table, whoever recorded it; and that table beside the daily pull's."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.lake import Lake
from bellwether.schemas import EQUITIES, INDEX_BARS
from bellwether.streaming.batches import REPAIR, Batches, BatchRecord, Writer
from bellwether.streaming.compact import Compacted, compact, compact_rows, recorded, standing
from bellwether.streaming.decode import decode
from bellwether.streaming.inbox import Frame
from bellwether.streaming.reconcile import reconcile
from tests.unit.streaming.feeds import NOON, NOON_MS, SESSION, bar, frame


def written(writer: str, *frames: Frame, first: int = 0) -> pa.Table:
    table = decode(frames, first, is_of_indices=True).table
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


def test_of_one_writers_arrivals_in_one_millisecond_the_later_stands_though_its_volume_is_less() -> None:
    before, cancelled = frame(bar(v=120)), frame(bar(v=100))
    assert compacted(written("a", before, cancelled)).table["volume"].to_pylist() == [100.0]
    both = frame(bar(v=120), bar(v=100))
    for parts in permutations([written("a", both), written("b", both, first=7)]):
        assert compacted(*parts).table["volume"].to_pylist() == [100.0]


def test_what_a_fast_clock_stamped_is_older_than_what_the_next_writer_hears(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    batches = Batches(lake, "equities", SESSION)
    ahead = [frame(bar(v=100), arrived_s=300), frame(bar(v=110), arrived_s=301)]
    after = [frame(bar("QQQ"), arrived_s=125), frame(bar(v=120), arrived_s=130)]
    told = [frame(bar("XOM", v=7), arrived_s=500)]  # what REST knew then, whoever else wrote
    writers = (Writer("run", 1, 10), Writer("run", 2, 20), Writer("rest+1", 1, 30))
    for seq, (writer, frames, first) in enumerate(zip(writers, (ahead, after, told), (0, 2, 1), strict=True)):
        table = decode(frames, first).table
        record = BatchRecord(rows=len(table), last_arrival=first + len(table) - 1, covered_ms=NOON_MS)
        batches.write(writer, seq, table, record)
    rows = recorded(lake, "equities", SESSION).select(["ticker", "volume", "arrived_utc"]).to_pylist()
    arrived_s = [(row["arrived_utc"] - NOON).total_seconds() for row in rows]
    assert arrived_s == [124.999, 124.999, 125, 130, 500]
    found = compact(lake, "equities", SESSION).table
    assert found.filter(pc.equal(found["ticker"], "SPY"))["volume"].to_pylist() == [120.0]


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


def value(price: float, at_s: float, arrived_s: float | None = None) -> Frame:
    event = {"ev": "V", "val": price, "T": "I:VIX", "t": NOON_MS + int(at_s * 1000)}
    return frame(event, arrived_s=at_s + 0.2 if arrived_s is None else arrived_s)


def index_minutes(*parts: pa.Table) -> list[tuple[float, ...]]:
    table = compact_rows(pa.concat_tables(parts, promote_options="default"), INDEX_BARS, SESSION).table
    assert table.schema == INDEX_BARS
    starts_s = [(ts - NOON).total_seconds() for ts in table["ts"].to_pylist()]
    return [*zip(starts_s, *(table[name].to_pylist() for name in ("open", "high", "low", "close")), strict=True)]


def test_values_fold_to_the_minute_in_the_order_of_their_own_time_however_late_they_came() -> None:
    values = [value(12.0, 0), value(15.0, 45), value(11.0, 30, arrived_s=50), value(14.0, 15, arrived_s=110)]
    after = value(13.0, 60)
    assert index_minutes(written("a", *values, after)) == [(0, 12.0, 15.0, 11.0, 15.0)]
    one, other = written("a", *values[:2], after), written("b", *values[1:], first=40)
    assert index_minutes(one, other) == index_minutes(other, one) == [(0, 12.0, 15.0, 11.0, 15.0)]


def test_a_minute_that_was_broadcast_stands_whatever_its_values_say() -> None:
    minute = frame(bar("I:VIX", v=None, vw=None))
    assert index_minutes(written("a", value(99.0, 15), minute, value(98.0, 75), value(97.0, 120))) == [
        (0, 10.0, 11.0, 9.75, 10.5),
        (60, 98.0, 98.0, 98.0, 98.0),
    ]


def test_a_minute_that_may_go_on_is_not_folded_before_something_came_after_its_end() -> None:
    assert index_minutes(written("a", value(12.0, 15), value(13.0, 59, arrived_s=59.9))) == []
    assert index_minutes(written("a", value(12.0, 15), value(13.0, 60, arrived_s=60))) == [(0, 12.0, 12.0, 12.0, 12.0)]


def test_files_with_values_and_files_without_are_read_together() -> None:
    with_values, without = written("a", value(12.0, 15)), written("b", frame(bar("I:VIX", 1), arrived_s=121))
    assert [row[0] for row in index_minutes(without, with_values)] == [0, 60]


WINDOW = timedelta(minutes=15)
IN_TIME, TOO_LATE = frame(bar(v=130), arrived_s=60 + 900), frame(bar(v=140), arrived_s=60 + 900.001)


def in_time(*parts: pa.Table) -> tuple[list[float], list[float]]:
    """Return the volumes that stand, and those that came too late."""
    result = compact_rows(pa.concat_tables(parts), EQUITIES, SESSION, WINDOW)
    return result.table["volume"].to_pylist(), result.late["volume"].to_pylist()


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([ORIGINAL, IN_TIME], ([130.0], [])),
        ([ORIGINAL, TOO_LATE], ([100.0], [140.0])),
        ([ORIGINAL, CHANGED, TOO_LATE, frame(bar(v=150), arrived_s=2000)], ([120.0], [150.0])),
        ([ORIGINAL, TOO_LATE, frame(bar(v=100), arrived_s=2000)], ([100.0], [])),
        ([ORIGINAL, frame(bar(v=100), arrived_s=2000)], ([100.0], [])),
        ([TOO_LATE], ([140.0], [])),
        ([frame(bar("AAPL", v=1)), TOO_LATE, ORIGINAL], ([1.0, 100.0], [140.0])),
        ([], ([], [])),
    ],
    ids=[
        *("at the last moment", "a moment later", "the last of several", "back to what stands", "the same again"),
        *("the first time ever", "of another ticker", "nothing"),
    ],
)
def test_a_minute_that_is_broadcast_anew_too_late_stays_as_it_stood(
    frames: list[Frame], expected: tuple[list[float], list[float]]
) -> None:
    assert in_time(written("x", *frames)) == expected


def test_what_rest_says_is_never_too_late_and_takes_the_place_of_what_was() -> None:
    heard = written("x", ORIGINAL, TOO_LATE)
    assert in_time(heard, written(f"{REPAIR}1", frame(bar(v=140), arrived_s=2000))) == ([140.0], [])
    # What REST knew before is older than what came too late.
    assert in_time(heard, written(f"{REPAIR}1", frame(bar(v=125), arrived_s=500))) == ([125.0], [140.0])


def test_what_stands_is_what_is_published() -> None:
    rows = written("x", ORIGINAL, TOO_LATE, frame(bar("AAPL", 1), arrived_s=125))
    stands = standing(rows, SESSION, WINDOW).select(["ticker", "volume"]).to_pylist()
    assert stands == compact_rows(rows, EQUITIES, SESSION, WINDOW).table.select(["ticker", "volume"]).to_pylist()
