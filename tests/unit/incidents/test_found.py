"""From what was found to reports: whose it is, how bad, how many of how many, and which session it is filed under."""

from datetime import UTC, date, datetime

import pytest

from bellwether import errors
from bellwether.config import Config, Severity
from bellwether.errors import BellwetherError, Blame
from bellwether.incidents.found import (
    blame_of_problem,
    concerned,
    in_a_session,
    of_failed_run,
    of_look_back,
    severity_of,
)
from bellwether.incidents.incident import Incident, Run, opened
from bellwether.lake import Coverage, Lake
from bellwether.monitoring.alerts import Cause, FailedRun, Failures, blame_of, compose
from bellwether.monitoring.health import Health, Problem, Standing
from tests.builders import publish_bars
from tests.incidents import SESSION, found

RUN = Run("equities_daily", "scheduled__2025-07-01__x")
URL = "http://airflow/runs/x"
CONFIG = Config()
EARLIER, LAST = date(2025, 6, 30), date(2025, 7, 2)


def failed_run(tasks: dict[str, str | None], failures: Failures | None = None) -> FailedRun:
    return FailedRun(f"equities {SESSION}", "task_failure", tasks, failures, URL)


def reports(run: FailedRun, dataset: str = "equities", **planned: int) -> list[tuple[Blame, Severity, int, int, str]]:
    tasks = {f"{dataset}.{name}": count for name, count in planned.items()}
    made = of_failed_run(CONFIG, compose(run), {dataset: run}, session=SESSION, run=RUN, planned_tasks=tasks)
    return [(each.blame, each.severity, each.failed, each.planned, each.unit) for each in made]


def cause(name: str, count: int) -> Cause:
    return Cause(count, ["SPY"], f"{name}: words")


def test_every_error_is_somebodys() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, BellwetherError)]
    assert {each.blame for each in classes} == set(Blame) - {Blame.STALL}
    assert {name: blame_of(name) for name in ("killed", "quarantined", "refused", "stalled", "ValueError")} == {
        "killed": Blame.OURS,
        "quarantined": Blame.QUALITY,
        "refused": Blame.QUALITY,
        "stalled": Blame.STALL,
        "ValueError": Blame.OURS,
    }


@pytest.mark.parametrize(
    ("run", "planned", "expected"),
    [
        pytest.param(
            failed_run(
                {"ingest[1]": "RateLimited: slow", "report": "AirflowFailException"},
                Failures(12, {"RateLimited": cause("RateLimited", 2)}),
            ),
            {"ingest": 3},
            [(Blame.RATE_LIMIT, "warning", 2, 12, "tickers")],
            id="some tickers",
        ),
        pytest.param(
            failed_run(
                {"report": "AirflowFailException"},
                Failures(
                    12,
                    {
                        "Truncated": cause("Truncated", 5),
                        "ServerError": cause("ServerError", 3),
                        "Drifted": cause("Drifted", 4),
                    },
                ),
            ),
            {},
            [(Blame.VENDOR, "error", 8, 12, "tickers"), (Blame.DRIFT, "error", 4, 12, "tickers")],
            id="all tickers, of two causes",
        ),
        pytest.param(
            failed_run({"ingest[0]": None, "ingest[3]": None, "report": "AirflowFailException"}),
            {"ingest": 500},
            [(Blame.OURS, "error", 2, 500, "tasks")],
            id="killed batches",
        ),
        pytest.param(
            failed_run({"publish": "NothingProven: nothing", "ingest[0]": "Unauthorized: no"}),
            {"ingest": 1, "publish": 1},
            [(Blame.ENTITLEMENT, "error", 1, 1, "tasks")],
            id="what follows from another",
        ),
        pytest.param(failed_run({}), {}, [(Blame.OURS, "error", 1, 1, "tasks")], id="nothing known"),
    ],
)
def test_a_failed_run_is_a_report_for_each_blame(
    run: FailedRun, planned: dict[str, int], expected: list[tuple[Blame, Severity, int, int, str]]
) -> None:
    assert reports(run, **planned) == expected


@pytest.mark.parametrize(
    ("dataset", "causes", "is_partial", "severity"),
    [
        ("equities", ["ServerError"], False, "error"),
        ("equities", ["ServerError"], True, "warning"),
        ("news", ["ServerError"], False, "warning"),
        ("minutes", ["LakeError"], False, "error"),
        ("recovery", ["NotRecovered"], False, "error"),
        ("options_snapshot", ["ServerError"], False, "critical"),
        ("equities_live", ["NotBroadcast"], False, "critical"),
    ],
)
def test_severity_is_by_who_waits_for_it_and_what_can_still_be_had(
    dataset: str, causes: list[str], is_partial: bool, severity: Severity
) -> None:
    assert severity_of(CONFIG, dataset, causes, is_partial=is_partial) == severity


@pytest.mark.parametrize(
    ("what", "group", "dataset"),
    [
        ("equities", "", "equities"),
        ("reference", "splits", "splits"),
        ("stream", "options", "options_live"),
        ("stream", "gold", "minutes"),
        ("repair", "equities", "equities_live"),
        ("gold", "", "minutes"),
        ("recovery", "", "recovery"),
    ],
)
def test_a_group_of_tasks_is_about_a_dataset(what: str, group: str, dataset: str) -> None:
    assert concerned(what, group) == dataset


def test_a_day_without_a_session_has_no_incident_and_a_half_day_has() -> None:
    thanksgiving, half_day = date(2025, 11, 27), date(2025, 11, 28)
    assert in_a_session(thanksgiving, half_day) is None
    assert in_a_session(half_day, half_day) == half_day
    # What belongs to no session is filed under the last.
    assert in_a_session(None, thanksgiving) == date(2025, 11, 26)


def health(*announced: date) -> Health:
    standings = [
        Standing(session, "minutes", True, Coverage.STALE, "stale", None, is_announced=True) for session in announced
    ]
    return Health(LAST, datetime(2025, 7, 3, 2, tzinfo=UTC), tuple(standings))


def looked(lake: Lake, problems: list[Problem], *known: Incident, announced: tuple[date, ...] = ()) -> list[str]:
    made = of_look_back(lake, health(*announced), problems, known, dag_id="ops_health")
    assert {each.report_id for each in made} <= {"health 2025-07-02 2025-07-03T02:00:00+00:00"}
    return [f"{each.dataset} {each.session} {each.blame} {each.watch}" for each in made]


def missing(session: date, dataset: str = "equities", state: str = "missing", why: str = "SPY") -> Problem:
    return Problem(session, dataset, state, why)


def test_the_look_back_reports_what_no_run_met_and_not_what_is_known(lake: Lake, clock: object) -> None:
    publish_bars(lake, ["SPY"], SESSION)
    problems = [missing(EARLIER), missing(SESSION), missing(LAST), missing(LAST, "minutes")]
    # Nobody had begun before the first session that was published; gold waits for what is missing.
    assert looked(lake, problems) == [f"equities {SESSION} ours standing", f"equities {LAST} ours standing"]
    known = opened("equities.2025-07-01.vendor", found(), datetime(2025, 7, 2, tzinfo=UTC))
    assert looked(lake, problems, known) == [f"equities {LAST} ours standing"]


def test_gold_that_was_just_announced_is_not_reported(lake: Lake) -> None:
    assert looked(lake, [missing(LAST, "minutes", "stale")], announced=(LAST,)) == []
    assert looked(lake, [missing(LAST, "minutes", "stale")]) == [f"minutes {LAST} ours standing"]


def test_a_recorder_that_hears_nothing_is_reported_of_its_stream(lake: Lake) -> None:
    assert looked(lake, [missing(LAST, "equities", "stream stalled", "w1, 3 s ago: connecting")]) == [
        f"equities_live {LAST} stall stream"
    ]


@pytest.mark.parametrize(
    ("state", "why", "blame"),
    [
        ("failed", "AAPL; ServerError: boom", Blame.VENDOR),
        ("quarantined", "AAPL; Drifted: `v` is called `vol`", Blame.DRIFT),
        ("quarantined", "3 rows in quarantine", Blame.QUALITY),
        ("not_entitled", "no", Blame.ENTITLEMENT),
        ("vendor_late", "no", Blame.VENDOR_LATE),
        ("missing", "AAPL", Blame.OURS),
        ("stream dead", "w1", Blame.STALL),
        ("2 gaps open", "w1", Blame.STALL),
    ],
)
def test_a_problem_is_somebodys(state: str, why: str, blame: Blame) -> None:
    assert blame_of_problem(missing(LAST, "equities", state, why)) is blame
