"""A plan in words."""

from datetime import date

import pytest

from bellwether.recovery.page import headline, markdown, spans
from bellwether.recovery.plan import Plan, Step
from bellwether.recovery.request import Mode, Request

WEDNESDAY, HALF_DAY, MONDAY = date(2025, 11, 26), date(2025, 11, 28), date(2025, 12, 1)

PAGE = """\
### Recovery of equities, options_snapshot: missing, newest first

**2 sessions, 2 runs, 16 API calls, 3.2 minutes at 5 requests a minute.** Calls and time are estimates.

| DAG | sessions | API calls |
| --- | --- | --- |
| equities_daily | 2: 2025-11-28 to 2025-12-01 | 16 |

| session | DAG | why | API calls |
| --- | --- | --- | --- |
| 2025-12-01 | equities_daily | all 12 missing | 12 |
| 2025-11-28 (half day) | equities_daily | 4 of 12 missing: A, B, C ... | 4 |

#### Built again

Gold of 2025-11-28 to 2025-12-01, where what is fetched differs from what gold records.

#### Left out

- equities_daily 2025-11-26: beyond the budget of 20 API calls; the same request goes on there.
- options_snapshot 2025-11-28: lost for ever. The vendor shows the present alone."""


def step(session: date, why: str = "all 12 missing", calls: int | None = 12) -> Step:
    return Step("equities_daily", session, why, calls=calls)


def test_the_page_says_what_runs_why_what_it_costs_what_follows_and_what_is_left_out() -> None:
    made = Plan(
        Request(("equities", "options_snapshot"), Mode.MISSING, budget=20),
        steps=(step(MONDAY), step(HALF_DAY, "4 of 12 missing: A, B, C ...", 4)),
        beyond=(step(WEDNESDAY),),
        lost={("options_snapshot", HALF_DAY): "The vendor shows the present alone"},
        rebuilt=(HALF_DAY, MONDAY),
    )
    assert markdown(made, 5) == PAGE


@pytest.mark.parametrize(
    ("steps", "beyond", "says"),
    [
        ((), (), "Nothing is to be done."),
        ((), (step(MONDAY),), "Nothing is to be done, as far as the budget reaches."),
        ((step(MONDAY),), (), "1 session, 1 run, 12 API calls, as fast as the vendor answers: no rate limit is set."),
        (
            (step(MONDAY), step(HALF_DAY, calls=None)),
            (),
            "2 sessions, 2 runs, at least 12 API calls, as fast as the vendor answers: no rate limit is set.",
        ),
    ],
)
def test_the_headline(steps: tuple[Step, ...], beyond: tuple[Step, ...], says: str) -> None:
    assert headline(Plan(Request(("equities",), Mode.MISSING), steps, beyond), None) == says


def test_sessions_in_a_row_are_a_span_over_holidays_and_weekends() -> None:
    assert spans([MONDAY, WEDNESDAY, HALF_DAY, date(2025, 12, 3)]) == "2025-11-26 to 2025-12-01, 2025-12-03"


def test_a_long_plan_is_cut_with_how_much_more_there_is() -> None:
    steps = (step(MONDAY),) * 130
    page = markdown(Plan(Request(("equities",), Mode.MISSING), steps), None)
    assert page.count("| 2025-12-01 | equities_daily |") == 100
    assert "... and 30 more runs." in page


def test_gold_that_lacks_inputs_is_named_and_costs_unknown_before_the_first_capture_are_explained() -> None:
    request = Request(("equities",), Mode.REVISED, budget=5)
    page = markdown(
        Plan(request, (), (step(MONDAY, calls=None),), unready={HALF_DAY: frozenset({"options", "equities"})}), None
    )
    assert "- gold of 2025-11-28: lacks equities, options; recover what is missing first." in page
    assert "recover one without a budget first" in page
