"""Frames to rows: values, order, and what cannot be read."""

from datetime import timedelta

import pytest

from bellwether.streaming.decode import decode
from bellwether.streaming.inbox import Frame
from bellwether.streaming.rows import LIVE_BARS, LIVE_VALUES
from tests.unit.streaming.feeds import NOON, NOON_MS, bar, frame

STATUS = {"ev": "status", "status": "success", "message": "subscribed to: AM.SPY"}


def test_every_broadcast_is_a_row_in_the_order_of_arrival() -> None:
    decoded = decode([frame(bar(), bar("QQQ")), frame(STATUS, bar(v=120.5), arrived_s=70)], 41)
    assert decoded.table.schema == LIVE_BARS
    assert decoded.table["ticker"].to_pylist() == ["SPY", "QQQ", "SPY"]
    assert decoded.table["arrival"].to_pylist() == [41, 42, 43]
    assert decoded.table["volume"].to_pylist() == [100, 100, 120.5]
    assert decoded.table["arrived_utc"].to_pylist() == [NOON + timedelta(seconds=s) for s in (61, 61, 70)]
    assert decoded.table.slice(0, 1).drop(["arrived_utc", "arrival"]).to_pylist() == [
        {
            "ticker": "SPY",
            "ts": NOON,
            "open": 10.0,
            "high": 11.0,
            "low": 9.75,
            "close": 10.5,
            "volume": 100.0,
            "vwap": 10.25,
        }
    ]
    assert (decoded.newest_ms, decoded.unreadable) == (NOON_MS + 60_000, [])


def test_an_index_has_no_volumes_and_a_stamp_within_the_minute_is_its_minutes() -> None:
    index = {name: value for name, value in bar("I:VIX").items() if name not in {"v", "av", "vw", "a", "z"}}
    ticks = [frame(index | {"s": NOON_MS + 17_000, "e": NOON_MS + 17_000})]
    table = decode(ticks, 0, is_of_indices=True).table
    assert table.select(["ts", "volume", "vwap"]).to_pylist() == [{"ts": NOON, "volume": None, "vwap": None}]


def test_values_of_an_index_are_rows_of_their_minutes_among_those_that_were_broadcast() -> None:
    values = [
        {"ev": "V", "val": price, "T": "I:VIX", "t": NOON_MS + ms} for price, ms in ((12.5, 15_250), (12.75, 61_000))
    ]
    decoded = decode([frame(values[0], arrived_s=15.5), frame(bar("I:VIX"), values[1])], 7)
    assert decoded.table.schema == LIVE_VALUES
    assert decoded.table.select(["ticker", "ts", "close", "value_utc", "arrival"]).to_pylist() == [
        {"ticker": "I:VIX", "ts": NOON, "close": 12.5, "value_utc": NOON + timedelta(seconds=15.25), "arrival": 7},
        {"ticker": "I:VIX", "ts": NOON, "close": 10.5, "value_utc": None, "arrival": 8},
        {"ticker": "I:VIX", "ts": NOON + timedelta(minutes=1), "close": 12.75}
        | {"value_utc": NOON + timedelta(seconds=61), "arrival": 9},
    ]
    assert decoded.newest_ms == NOON_MS + 61_000
    assert decode([frame(values[0], arrived_s=15.5)], 0).newest_ms == NOON_MS + 15_250


def test_nothing_is_covered_beyond_its_arrival() -> None:
    ahead = frame(bar(minute=9))
    assert decode([ahead], 0).newest_ms == ahead.arrived_ms
    assert decode([frame(STATUS)], 0).newest_ms is None


@pytest.mark.parametrize(
    "content",
    [
        b'{"ev":"AM","sym":<!DOCTYPE html>',
        frame(bar()).content[:40],
        frame(bar(o="ten")).content,
        frame(bar(o=None)).content,
        frame(bar(s=17)).content,
        frame(bar(s=2**70)).content,
        frame({"ev": "XX", "sym": "SPY"}).content,
        b"",
        b"[1]",
        b"\xff\xfe",
        frame(bar()).content.replace(b"SPY", b"S\xff"),
        frame(bar()).content.replace(b"SPY", b"\\ud800"),
        b"[" * 100_000,
        frame(bar(x=0)).content.replace(b'"x":0', b'"x":' + b"[" * 5000 + b"]" * 5000),
        frame(bar(v=None)).content,
        frame({name: value for name, value in bar().items() if name != "v"}).content,
    ],
    ids=range(16),
)
def test_what_cannot_be_read_is_told_of_and_takes_nothing_else_with_it(content: bytes) -> None:
    decoded = decode([frame(bar()), Frame(content, NOON_MS + 65_000), frame(bar(minute=1), arrived_s=125)], 0)
    assert decoded.table["ts"].to_pylist() == [NOON, NOON + timedelta(minutes=1)]
    assert [each.arrived_ms for each in decoded.unreadable] == [NOON_MS + 65_000]


def test_of_a_frame_that_can_be_read_in_part_the_rest_is_kept() -> None:
    decoded = decode([frame(bar(h="?"), bar("QQQ"))], 0)
    assert decoded.table["ticker"].to_pylist() == ["QQQ"]
    assert "str" in decoded.unreadable[0].why


def test_of_a_frame_with_an_event_that_is_no_utf8_the_rest_is_kept() -> None:
    decoded = decode([Frame(frame(bar("XX"), bar("QQQ")).content.replace(b"XX", b"X\xff"), NOON_MS + 61_000)], 0)
    assert decoded.table["ticker"].to_pylist() == ["QQQ"]
    assert "utf-8" in decoded.unreadable[0].why


def test_two_halves_of_frames_that_join_are_not_taken_for_one() -> None:
    whole = frame(bar(), bar("QQQ")).content
    cut = whole.index(b",{")
    decoded = decode([Frame(whole[:cut] + b"]", NOON_MS), Frame(b"[" + whole[cut + 1 :], NOON_MS)], 0)
    assert (decoded.table.num_rows, decoded.unreadable) == (2, [])
    decoded = decode([Frame(whole[:cut], NOON_MS), Frame(whole[cut + 1 :], NOON_MS)], 0)
    assert (decoded.table.num_rows, len(decoded.unreadable)) == (0, 2)
