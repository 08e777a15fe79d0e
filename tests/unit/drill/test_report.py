"""What came of a drill, and what is wrong with it."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from bellwether.calendar import get_calendar
from bellwether.drill.faults import FAULTS
from bellwether.drill.report import Judged, Outcome, Report, Sent, as_markdown

SESSION = date(2024, 7, 3)
OPEN = get_calendar().hours(SESSION).open
STALLED = Sent("equities_live: stalled", frozenset({"stalled"}), "sent to 1 sinks", is_lost=False)
REFUSED = Sent("stream: failed", frozenset({"StreamRefused"}), "sent to 1 sinks", is_lost=False)


def outcome(name: str, **changes: Any) -> Outcome:
    """Return what is to come of a fault, but for some changes."""
    fault = FAULTS[name]
    sent = [each for each in (STALLED, REFUSED) if fault.alert in each.causes]
    well: dict[str, Any] = {"recovered": OPEN + timedelta(seconds=130), "real_s": 1.1, "causes": tuple(fault.causes)}
    return Outcome(name, fault, began=OPEN, **{**well, "sent": sent, **changes})


def report(*outcomes: Outcome, **changes: Any) -> Report:
    judged = {"minutes": 120, "lost": 0, "unlike": 0, "doubled": 0, "gaps": ["dropped"], "left": []}
    return Report(
        session=SESSION,
        speed=120,
        start=OPEN,
        until=OPEN + timedelta(minutes=30),
        outcomes=outcomes,
        judged=Judged(**{name: changes.pop(name, value) for name, value in judged.items()}),
        unplayed=changes.pop("unplayed", []),
        real_s=15,
        log=["not written"],
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_which_came_what_is_to_come_has_no_problem(name: str) -> None:
    assert outcome(name).problems() == []


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: outcome("abort", recovered=None), "abort: it did not recover"),
        (lambda: outcome("abort", causes=()), "abort: no gap tells of it; one with cause dropped was to"),
        (lambda: outcome("duplicate", causes=("mute",)), "duplicate: a gap tells of it, though nothing was missed"),
        (lambda: outcome("abort", lost=2, doubled=1), "abort: 2 minutes are lost, 1 doubled"),
        (lambda: outcome("mute", sent=[STALLED]), "mute: people were told of what heals by itself"),
        (lambda: outcome("outage", sent=[]), "outage: people got 0 messages of stalled, not one"),
        (lambda: outcome("outage", sent=[STALLED] * 2), "outage: people got 2 messages of stalled, not one"),
        (lambda: outcome("wrong key", sent=[STALLED]), "wrong key: people got 0 messages of StreamRefused, not one"),
        (lambda: outcome("wrong key", connections=7), "wrong key: 7 connections were made with the wrong key, not one"),
        (
            lambda: outcome(
                "outage", sent=[Sent("", frozenset({"stalled"}), "not taken by sink 1 (json)", is_lost=True)]
            ),
            "outage: the message did not go out: not taken by sink 1 (json)",
        ),
    ],
)
def test_what_came_otherwise_is_a_problem_in_words(made: Callable[[], Outcome], words: str) -> None:
    assert made().problems() == [words]


def test_what_is_lost_doubled_open_or_not_played_is_a_problem_of_the_drill() -> None:
    changes = {"lost": 1, "unlike": 2, "doubled": 3, "left": ["dropped: no answer"], "unplayed": ["mute"]}
    assert report(outcome("abort"), **changes).problems() == [
        "1 of 120 minutes are lost",
        "2 of 120 minutes are unlike REST's",
        "3 of 120 minutes are doubled",
        "a gap was not closed: dropped: no answer",
        "mute: the session was over; at a lower speed there is time for it",
    ]


def test_the_page_says_of_each_fault_what_came_of_it_and_what_went_wrong() -> None:
    page = as_markdown(report(outcome("abort", missed=8), outcome("outage")))
    assert "| abort | the connection is reset | dropped | 2:10 min (1.1 s real) | 8 | 0 | 0 | none |" in page
    assert "equities_live: stalled (sent to 1 sinks)" in page
    assert "09:30 to 10:00 New York, 120x" in page
    assert page.endswith("**All went as it should.**")
    page = as_markdown(report(outcome("abort", recovered=None)))
    assert "not at all" in page
    assert page.endswith("- abort: it did not recover\n\nThe recorder's log ends:\n\n    not written")
