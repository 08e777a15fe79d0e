"""A plan carried out: against an Airflow that keeps runs in a list, one step at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from bellwether.airflow_api import ApiError, Backfill, Run, TaskInstance
from bellwether.errors import NotRecovered
from bellwether.recovery.plan import Plan, Step
from bellwether.recovery.request import Mode, Request
from bellwether.recovery.work import Errand, Progress, Touched, Wait, Work, go_on, is_over, works

# Thanksgiving lies between the first two; the second is a half day, and a weekend follows.
WEDNESDAY, HALF_DAY, MONDAY, TUESDAY = (date(2025, 11, 26), date(2025, 11, 28), date(2025, 12, 1), date(2025, 12, 2))
DAG = "equities_daily"
PLANNED = datetime(2025, 12, 3, tzinfo=UTC)
BEFORE, AFTER = PLANNED - timedelta(days=1), PLANNED + timedelta(minutes=1)


@dataclass
class FakeAirflow:
    """What recovery asks of Airflow, and what it was told, in order."""

    found: list[Run] = field(default_factory=list)
    tasks: dict[str, list[TaskInstance]] = field(default_factory=dict)
    made: list[Backfill] = field(default_factory=list)
    told: list[object] = field(default_factory=list)
    paused: bool = False
    conflict: bool = False

    def is_paused(self, dag_id: str) -> bool:
        return self.paused

    def runs(
        self, dag_id: str, partition_key: str | None = None, *, start: date | None = None, end: date | None = None
    ) -> list[Run]:
        return [run for run in self.found if str(start) <= str(run.partition_key) <= str(end)]

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        return self.tasks.get(run_id, [])

    def clear(
        self, dag_id: str, run_id: str, tasks: Sequence[str | tuple[str, int]] = (), *, only_failed: bool = True
    ) -> list[str]:
        assert not only_failed, "what follows a failed task succeeded with what there was, and must run again"
        self.told.append(("clear", run_id, list(tasks)))
        self.put(run_id, state="queued", start_date=None)
        return []

    def backfills(self, dag_id: str) -> list[Backfill]:
        return self.made

    def backfill(
        self,
        dag_id: str,
        start: date,
        end: date,
        *,
        conf: Mapping[str, object] | None = None,
        max_active_runs: int = 3,
        again: bool = False,
        backwards: bool = False,
    ) -> Backfill:
        if self.conflict:
            raise ApiError("There is another running backfill", 409)
        assert again
        self.told.append(("backfill", start, end, conf, "backwards" if backwards else "forwards"))
        for session in (WEDNESDAY, HALF_DAY, MONDAY, TUESDAY):
            if start <= session <= end:
                run = run_of(session, "queued", AFTER + timedelta(len(self.told)), name="backfill")
                self.found.append(msgspec.structs.replace(run, dag_run_id=f"{run.dag_run_id}_{len(self.told)}"))
        self.made.append(Backfill(len(self.told), dag_id, AFTER))
        return self.made[-1]

    def put(self, run_id: str, **changes: object) -> None:
        self.found = [
            msgspec.structs.replace(run, **changes) if run.dag_run_id == run_id else run for run in self.found
        ]

    def finish(self, *failing: date) -> None:
        """Let every run that is under way end, and close the backfill."""
        for run in self.found:
            if not run.is_over:
                state = "failed" if run.session in failing else "success"
                self.put(run.dag_run_id, state=state, start_date=run.start_date or AFTER)
        self.made = [msgspec.structs.replace(each, completed_at=AFTER) for each in self.made]


def run_of(session: date, state: str, began: datetime | None = BEFORE, name: str = "scheduled") -> Run:
    return Run(DAG, f"{name}__{session}", name, state, partition_key=str(session), start_date=began)


def task(name: str, state: str | None, map_index: int = -1) -> TaskInstance:
    return TaskInstance(name, "", map_index, state)


def cancelled_halfway() -> FakeAirflow:
    """Return an Airflow with a cancelled backfill: one of its runs failed, the other never began."""
    api = FakeAirflow([run_of(WEDNESDAY, "failed", AFTER, "backfill"), run_of(HALF_DAY, "failed", None, "backfill")])
    api.tasks[f"backfill__{WEDNESDAY}"] = [task("ingest", "failed", 0)]
    api.tasks[f"backfill__{HALF_DAY}"] = [task("plan", None), task("ingest", None)]
    midnight = datetime(2025, 11, 26, tzinfo=UTC)
    cancelled = Backfill(1, DAG, AFTER, AFTER, is_paused=True, from_date=midnight, to_date=midnight + timedelta(2))
    api.made = [cancelled]
    return api


def work(*sessions: date | Errand, newest_first: bool = False) -> Work:
    errands = [each if isinstance(each, Errand) else Errand(each) for each in sessions]
    return Work(DAG, PLANNED, tuple(errands), newest_first)


def never(session: date) -> bool:
    return False


def through(
    api: FakeAirflow,
    todo: Work,
    *failing: date,
    is_settled: Callable[[date], bool] = never,
    touched: Touched | None = None,
) -> Progress:
    """Go on until all is over; whatever is waited for comes."""
    progress = go_on(api, todo, touched or Touched(), is_settled)
    for _ in range(10):
        if progress.wait is None:
            return progress
        api.finish(*failing)
        assert is_over(api, progress.wait)
        progress = go_on(api, todo, progress.touched, is_settled)
    raise AssertionError(f"no end: {api.told}")


def test_sessions_without_a_run_are_backfilled_as_one_range_over_holiday_and_weekend() -> None:
    api = FakeAirflow()
    progress = through(api, work(WEDNESDAY, HALF_DAY, MONDAY))
    assert api.told == [("backfill", WEDNESDAY, MONDAY, {}, "forwards")]
    assert (progress.done, progress.failed, progress.left) == ((WEDNESDAY, HALF_DAY, MONDAY), (), ())


def test_newest_first_is_one_range_too_run_backwards() -> None:
    api = FakeAirflow()
    through(api, work(MONDAY, HALF_DAY, WEDNESDAY, newest_first=True))
    assert api.told == [("backfill", WEDNESDAY, MONDAY, {}, "backwards")]


def test_a_session_that_needs_nothing_is_not_run_for_lying_between_others() -> None:
    api = FakeAirflow([run_of(HALF_DAY, "success")])
    through(api, work(WEDNESDAY, MONDAY))
    assert api.told == [
        ("backfill", WEDNESDAY, WEDNESDAY, {}, "forwards"),
        ("backfill", MONDAY, MONDAY, {}, "forwards"),
    ]


def test_sessions_of_different_forms_are_ranges_of_their_own() -> None:
    api = FakeAirflow()
    through(api, work(Errand(WEDNESDAY, ("SPY",)), Errand(HALF_DAY, ("SPY",)), Errand(MONDAY, force=True)))
    assert api.told == [
        ("backfill", WEDNESDAY, HALF_DAY, {"tickers": ["SPY"]}, "forwards"),
        ("backfill", MONDAY, MONDAY, {"force": True}, "forwards"),
    ]


def test_of_a_failed_run_the_failed_tasks_are_cleared_with_what_follows_and_no_run_is_made_beside_it() -> None:
    api = FakeAirflow([run_of(HALF_DAY, "failed")])
    api.tasks[f"scheduled__{HALF_DAY}"] = [
        task("plan", "success"),
        task("ingest", "success", 0),
        task("ingest", "failed", 1),
        task("validate", "success"),
        task("report", "failed"),
    ]
    progress = through(api, work(HALF_DAY))
    assert api.told == [("clear", f"scheduled__{HALF_DAY}", [("ingest", 1)])]
    assert progress.done == (HALF_DAY,)


@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param(
            [task("ingest", "success", 0), task("validate", "failed"), task("report", "failed")],
            id="refused by the suite",
        ),
        pytest.param(
            [task("ingest", "success", 0), task("publish", "success"), task("report", "failed")], id="report alone"
        ),
        pytest.param([task("splits.validate", "failed"), task("rates.ingest", "failed")], id="in a group"),
    ],
)
def test_a_failed_run_that_clearing_would_not_mend_gets_a_new_run(tasks: list[TaskInstance]) -> None:
    api = FakeAirflow([run_of(HALF_DAY, "failed")], {f"scheduled__{HALF_DAY}": tasks})
    assert through(api, work(HALF_DAY)).done == (HALF_DAY,)
    assert api.told == [("backfill", HALF_DAY, HALF_DAY, {}, "forwards")]


def test_what_is_fetched_again_on_purpose_gets_a_new_run_whatever_became_of_the_last() -> None:
    failed = [run_of(HALF_DAY, "failed"), run_of(MONDAY, "success")]
    api = FakeAirflow(failed, {f"scheduled__{HALF_DAY}": [task("ingest", "failed", 0)]})
    through(api, work(Errand(HALF_DAY, force=True), Errand(MONDAY, force=True)))
    assert api.told == [("backfill", HALF_DAY, MONDAY, {"force": True}, "forwards")]


def test_failed_runs_and_missing_ones_take_turns_in_the_order_of_the_sessions() -> None:
    api = FakeAirflow([run_of(HALF_DAY, "failed")], {f"scheduled__{HALF_DAY}": [task("plan", "failed")]})
    through(api, work(WEDNESDAY, HALF_DAY, MONDAY))
    assert api.told == [
        ("backfill", WEDNESDAY, WEDNESDAY, {}, "forwards"),
        ("clear", f"scheduled__{HALF_DAY}", ["plan"]),
        ("backfill", MONDAY, MONDAY, {}, "forwards"),
    ]


def test_a_run_that_is_under_way_is_waited_for_and_nothing_is_started_meanwhile() -> None:
    api = FakeAirflow([run_of(HALF_DAY, "running")])
    progress = go_on(api, work(HALF_DAY, MONDAY), Touched(), never)
    assert (progress.wait, api.told) == (Wait(DAG, HALF_DAY, HALF_DAY), [])
    assert not is_over(api, progress.wait)


@pytest.mark.parametrize("conflict", [False, True])
def test_another_backfill_of_the_dag_is_waited_for(conflict: bool) -> None:
    api = FakeAirflow(made=[] if conflict else [Backfill(1, DAG, BEFORE)], conflict=conflict)
    progress = go_on(api, work(MONDAY), Touched(), never)
    assert (progress.wait, api.told) == (Wait(DAG), [])
    assert progress.touched == Touched()
    api.conflict = False
    assert through(api, work(MONDAY)).done == (MONDAY,)


def test_sessions_that_fail_again_are_named_and_the_others_go_on() -> None:
    api = FakeAirflow([run_of(HALF_DAY, "success")])
    progress = through(api, work(WEDNESDAY, MONDAY), WEDNESDAY)
    assert (progress.done, progress.failed, len(api.told)) == ((MONDAY,), (WEDNESDAY,), 2)


def test_an_execution_that_was_killed_goes_on_with_what_is_left() -> None:
    api = FakeAirflow()
    todo = work(WEDNESDAY, HALF_DAY, MONDAY)
    go_on(api, todo, Touched(), never)
    api.finish()
    api.found.pop()
    api.told.clear()
    progress = through(api, todo)
    assert api.told == [("backfill", MONDAY, MONDAY, {}, "forwards")]
    assert len(progress.done) == 3


def test_a_session_that_failed_in_the_execution_before_is_taken_up_again() -> None:
    api = FakeAirflow([run_of(WEDNESDAY, "failed", AFTER)])
    api.tasks[f"scheduled__{WEDNESDAY}"] = [task("ingest", "failed", 0)]
    assert through(api, work(Errand(WEDNESDAY, force=True))).done == (WEDNESDAY,)
    assert api.told == [("clear", f"scheduled__{WEDNESDAY}", [("ingest", 0)])]


def test_runs_of_a_cancelled_backfill_are_made_anew_since_cleared_they_would_never_begin() -> None:
    api = cancelled_halfway()
    assert through(api, work(WEDNESDAY, HALF_DAY)).done == (WEDNESDAY, HALF_DAY)
    assert api.told == [("backfill", WEDNESDAY, HALF_DAY, {}, "forwards")]


def test_a_run_that_was_cancelled_before_it_began_is_not_begun_again_by_the_same_execution() -> None:
    api = cancelled_halfway()
    progress = through(api, work(WEDNESDAY, HALF_DAY), touched=Touched(frozenset({WEDNESDAY, HALF_DAY}), 1))
    assert (progress.failed, api.told) == ((WEDNESDAY, HALF_DAY), [])


def test_what_others_settled_since_the_plan_is_left_alone_but_not_what_is_to_be_fetched_again() -> None:
    api = FakeAirflow()
    progress = through(api, work(WEDNESDAY, Errand(HALF_DAY, force=True)), is_settled=lambda session: True)
    assert api.told == [("backfill", HALF_DAY, HALF_DAY, {"force": True}, "forwards")]
    assert progress.done == (WEDNESDAY, HALF_DAY)


def test_the_backfill_to_cancel_is_known_as_long_as_its_runs_are_under_way() -> None:
    api = FakeAirflow()
    opened = go_on(api, work(MONDAY, TUESDAY), Touched(), never)
    later = go_on(api, work(MONDAY, TUESDAY), opened.touched, never)
    assert opened.wait == later.wait == Wait(DAG, MONDAY, TUESDAY, backfill_id=1)


def test_few_runs_are_cleared_at_once() -> None:
    days = [date(2025, 10, day) for day in range(1, 29)]
    api = FakeAirflow([run_of(day, "failed") for day in days])
    api.tasks = {run.dag_run_id: [task("plan", "failed")] for run in api.found}
    progress = go_on(api, work(*days), Touched(), never)
    assert len(api.told) == len(progress.touched.sessions) == 10


def test_a_paused_dag_is_refused_since_its_runs_would_be_queued_for_ever() -> None:
    with pytest.raises(NotRecovered, match="equities_daily is paused"):
        go_on(FakeAirflow(paused=True), work(MONDAY), Touched(), never)


def test_a_plan_is_cut_by_dag_those_first_that_others_build_on() -> None:
    steps = [Step("options_daily", MONDAY, ""), Step("options_discovery", MONDAY, "", ("SPY",), force=True)]
    steps.append(Step("options_daily", HALF_DAY, ""))
    first, second = works(Plan(Request(("options",), Mode.FORCE), tuple(steps)), PLANNED)
    assert (first.dag_id, first.errands) == ("options_discovery", (Errand(MONDAY, ("SPY",), force=True),))
    assert (second.dag_id, second.errands) == ("options_daily", (Errand(MONDAY), Errand(HALF_DAY)))
    assert msgspec.convert(msgspec.to_builtins(first), Work) == first
