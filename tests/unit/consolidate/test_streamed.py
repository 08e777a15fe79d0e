"""When provisional gold ends, and what it may take the place of, by its inputs alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from bellwether.calendar import get_calendar
from bellwether.consolidate.streamed import may_replace, streamed_of, until_of
from tests.unit.consolidate.market import DAY

OPEN = get_calendar().hours(DAY).open


class Published:
    """Stands for a manifest."""

    def __init__(self, inputs: dict[str, str]) -> None:
        self.inputs = inputs


def clock(minutes: int) -> datetime:
    return OPEN + timedelta(minutes=minutes)


def heard(**minutes: int) -> dict[str, str]:
    """Return inputs whose streams are heard until so many minutes after the open."""
    told = {f"{dataset}_live#until": clock(until).isoformat() for dataset, until in minutes.items()}
    return told | {f"{dataset}_live": "r" for dataset in minutes} | {"contracts": "r", "splits#told": "h"}


@pytest.mark.parametrize(
    ("streams", "until"),
    [
        ({"equities": 100, "options": 100}, 100),
        ({"equities": 100, "options": 90, "indices": 95}, 90),
        ({"equities": 100, "options": 85}, 85),
        ({"equities": 100, "options": 84}, 100),
        ({"equities": 80, "options": 100}, 80),
        ({"equities": 100}, 100),
        ({"options": 100, "indices": 90}, 90),
    ],
)
def test_the_stream_heard_least_ends_it_unless_it_is_more_than_15_minutes_behind(
    streams: dict[str, int], until: int
) -> None:
    assert until_of(heard(**streams)) == clock(until)
    assert streamed_of(heard(**streams)) == {dataset: clock(minutes) for dataset, minutes in streams.items()}


def test_gold_that_reads_no_stream_has_no_end() -> None:
    assert until_of({"equities": "r", "equities#told": "h"}) is None


@pytest.mark.parametrize(
    ("new", "published", "may"),
    [
        (heard(equities=10), heard(equities=5), True),
        (heard(equities=10), heard(equities=10), True),
        (heard(equities=10), heard(equities=15), False),
        (heard(equities=10), {"equities": "r"}, False),
        ({"equities": "r"}, heard(equities=400), True),
        ({"equities": "r"}, {"equities": "s"}, True),
    ],
    ids=["later", "equal", "earlier", "provisional over final", "final over provisional", "final over final"],
)
def test_provisional_gold_takes_the_place_of_neither_final_nor_later_gold(
    new: dict[str, str], published: dict[str, str], may: bool
) -> None:
    before: Any = Published(published)
    assert may_replace(new, before) is may
