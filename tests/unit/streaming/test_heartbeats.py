"""Heartbeats that were told of: kept at once, published together, whoever publishes."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bellwether.config import Config
from bellwether.config.settings import StreamingSettings
from bellwether.errors import LakeError
from bellwether.lake import Lake, read
from bellwether.lake.local import LocalStorage
from bellwether.streaming import bookkeeping
from bellwether.streaming.assignment import whole_session
from bellwether.streaming.batches import Writer
from bellwether.streaming.bookkeeping import publish_heartbeats
from bellwether.streaming.heartbeats import Teller, keep
from bellwether.streaming.lease import Heartbeat
from bellwether.streaming.pulse import Pulse
from tests.unit.streaming.feeds import NOON, SESSION

WRITER = Writer("run", 1, 10)


def beat(minutes: float, state: str = "listening", lag_s: float | None = 0.5) -> Heartbeat:
    at = NOON + timedelta(minutes=minutes)
    return Heartbeat(at_utc=at, state=state, seq=3, rows=20, gaps=1, covered_utc=NOON, lag_s=lag_s, quiet=2)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True)


def rows(lake: Lake) -> list[dict[str, Any]]:
    return read("heartbeats", SESSION, SESSION, root=lake.root).to_pylist()


def test_what_is_told_is_on_disk_then_and_the_rest_is_not_kept(lake: Lake) -> None:
    told: list[Heartbeat] = []
    pulse = Pulse(NOON, StreamingSettings(heartbeat_every_min=10, stalled_after_min=20))
    stalled: list[Heartbeat] = []
    teller = Teller(
        lake,
        whole_session("equities", SESSION),
        WRITER,
        pulse,
        on_due=told.append,
        on_stall=stalled.append,
    )
    beats = [beat(0), beat(5), beat(10), beat(19, "connecting"), beat(30, "connecting")]
    for each in beats:
        teller(each)
    teller.tell(last := beat(31, "stopped", None))
    assert told == [beats[0], beats[2], beats[4], last]
    assert stalled == [beats[4]]
    assert publish_heartbeats(lake, Config(), SESSION, run_id="r") is not None
    assert [(row["at_utc"], row["state"], row["lag_s"]) for row in rows(lake)] == [
        (each.at_utc, each.state, each.lag_s) for each in told
    ]
    assert rows(lake)[0] == {
        "dataset": "equities",
        "writer": "run~t1~p10",
        "at_utc": NOON,
        "state": "listening",
        "seq": 3,
        "rows": 20,
        "gaps": 1,
        "covered_utc": NOON,
        "lag_s": 0.5,
        "quiet": 2,
    }


def test_of_one_that_cannot_be_kept_people_hear_all_the_same(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        msg = "the disk is full"
        raise LakeError(msg)

    monkeypatch.setattr(LocalStorage, "write", refuse)
    told: list[Heartbeat] = []
    assignment = whole_session("equities", SESSION)
    Teller(lake, assignment, WRITER, Pulse(NOON, StreamingSettings()), on_due=told.append)(beat(0))
    assert told == [beat(0)]


def test_a_partition_holds_those_of_all_datasets_and_is_published_anew_with_more(lake: Lake) -> None:
    assert publish_heartbeats(lake, Config(), SESSION, run_id="r") is None
    keep(lake, "options", SESSION, WRITER, beat(0))
    keep(lake, "equities", SESSION, WRITER, beat(1))
    keep(lake, "equities", SESSION, Writer("run", 2, 11), beat(0))
    found = [publish_heartbeats(lake, Config(), SESSION, run_id="r") for _ in range(2)]
    assert [each.changed for each in found if each] == [True, False]
    assert [(row["dataset"], row["writer"]) for row in rows(lake)] == [
        ("equities", "run~t2~p11"),
        ("equities", "run~t1~p10"),
        ("options", "run~t1~p10"),
    ]


def test_of_two_that_publish_at_once_the_later_file_is_not_lost(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(lake, "equities", SESSION, WRITER, beat(0))
    table = bookkeeping.as_table

    def overtaken(*args: Any) -> Any:
        """Let another keep and publish one more, after this one has read what there is."""
        monkeypatch.setattr(bookkeeping, "as_table", table)
        found = table(*args)
        keep(lake, "options", SESSION, WRITER, beat(0))
        assert publish_heartbeats(lake, Config(), SESSION, run_id="other") is not None
        return found

    monkeypatch.setattr(bookkeeping, "as_table", overtaken)
    published = publish_heartbeats(lake, Config(), SESSION, run_id="r")
    assert published is not None
    assert [row["dataset"] for row in rows(lake)] == ["equities", "options"]
