"""What a drill can do: all that the simulator can do to a stream, by names that forms know."""

from datetime import timedelta

import pytest

from bellwether.drill.faults import FAULTS, Act, chosen
from bellwether.drill.names import DEFAULT, NAMES
from bellwether.errors import ConfigError
from bellwether.simulator.feed.points import CLOSE_CODES, FEED_FAULTS


def test_the_names_of_the_form_are_the_faults() -> None:
    assert tuple(FAULTS) == NAMES
    assert set(DEFAULT) <= set(NAMES)


def test_every_fault_of_the_feed_can_be_played() -> None:
    switches = [switch for fault in FAULTS.values() for switch in fault.switches]
    assert {switch.kind for switch in switches} == set(FEED_FAULTS)
    assert {switch.code for switch in switches if switch.kind == "close"} == set(CLOSE_CODES)
    assert {fault.act for fault in FAULTS.values()} == set(Act)


def test_what_is_told_of_is_what_does_not_heal_by_itself() -> None:
    assert {name for name, fault in FAULTS.items() if fault.alert} == {
        "outage",
        "disk full",
        "auth_failed",
        "wrong key",
    }


@pytest.mark.parametrize(
    ("names", "words"), [(["abort", "flood"], "no fault flood; known: abort,"), ([], "no fault was named")]
)
def test_a_fault_that_is_not_known_is_refused_with_those_that_are(names: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        chosen(names)


def test_faults_are_played_in_the_order_asked_for_and_once() -> None:
    assert list(chosen(["mute", "abort", "mute"])) == ["mute", "abort"]


def test_a_fault_takes_what_the_feed_takes_or_this_machine() -> None:
    assert FAULTS["abort"].takes(10) == timedelta(minutes=2)
    assert FAULTS["abort"].takes(600) == timedelta(minutes=20)
    assert FAULTS["outage"].takes(10) == timedelta(minutes=20)
