"""Who tells: one of all, another where the first died, and a sink that refuses is tried again by the sweep."""

from typing import Any

import pytest

from bellwether.config import Alerts
from bellwether.config.alerts import DeliverySettings
from bellwether.errors import LakeError
from bellwether.incidents.board import claim
from bellwether.incidents.ledger import report
from bellwether.incidents.outbox import deliver_again
from bellwether.lake import Lake, paths
from tests.incidents import SESSION, People, TurnedClock, found

SETTINGS = DeliverySettings(retry_after_min=(1, 5))


def test_what_one_is_telling_no_other_tells_unless_the_first_dies(
    lake: Lake, people: People, clock: TurnedClock
) -> None:
    report(lake, found())
    assert len(claim(lake, Alerts(), is_sweep=False).tellings) == 1
    assert people.sweep() == []
    clock.turn(minutes=5)
    assert people.sweep() == [f"equities {SESSION}: 1 of 8 tickers failed"]


def test_a_sink_that_refuses_is_tried_again_later_and_later_and_then_given_up(
    lake: Lake, people: People, clock: TurnedClock
) -> None:
    people.refusing = ("1 (json)",)
    people.settings = Alerts(delivery=SETTINGS)
    report(lake, found())
    people.tell()
    assert people.sweep() == []  # what happened is told; its delivery is another matter
    attempts = []
    for _ in range(9):
        clock.turn(minutes=1)
        before = len(people.sent)
        assert deliver_again(lake, SETTINGS, people.send) == 0
        attempts.append(len(people.sent) - before)
    assert attempts == [1, 0, 0, 0, 0, 1, 0, 0, 0]
    assert people.asked == [(), ("1 (json)",), ("1 (json)",)]
    assert {message.subject for message in people.sent} == {f"equities {SESSION}: 1 of 8 tickers failed"}
    assert list(lake.storage.list(paths.outbox())) == []


def test_a_sink_that_comes_back_hears_it_once(lake: Lake, people: People, clock: TurnedClock) -> None:
    people.refusing = ("1 (json)",)
    report(lake, found())
    people.tell()
    people.refusing = ()
    clock.turn(minutes=1)
    assert deliver_again(lake, SETTINGS, people.send) == 1
    clock.turn(hours=1)
    assert deliver_again(lake, SETTINGS, people.send) == 0


def test_a_message_that_cannot_be_noted_as_told_is_sent_all_the_same(
    lake: Lake, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(lake, found())

    def change(*_: Any) -> None:
        raise LakeError("the disk is full")

    monkeypatch.setattr("bellwether.incidents.board.change", change)
    assert len(people.tell()) == 1


def test_a_damaged_board_is_named(lake: Lake, people: People) -> None:
    report(lake, found())
    lake.storage.write(paths.INCIDENT_BOARD, b"{")
    with pytest.raises(LakeError, match=r"board\.json is damaged"):
        people.tell()
