"""What should be published by now and is not, whatever its run does: waits, hangs, or was never created.

By the calendar and what stands in the lake, not by a deadline of the run: what was never created has none.
"""

from collections.abc import Callable, Sequence
from datetime import date

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.due import DUE, OVERDUE
from bellwether.incidents import found
from bellwether.incidents.incident import Incident, Report, Watch
from bellwether.lake import Coverage, Lake
from bellwether.monitoring import alerts
from bellwether.monitoring.health import Problem, Standing, standing
from bellwether.producers import DATASETS_OF


def overdue(
    lake: Lake,
    config: Config,
    known: Sequence[Incident],
    *,
    is_awaited: Callable[[str], bool],
    url_of: Callable[[str], str],
) -> list[Report]:
    """Return the reports on the last session of each dataset that should be over, where it is not published whole.

    Of a dataset of which no earlier session stands nothing is said: nobody has begun. Nor where an open incident tells
    of it already, or the plan does not include it.

    Parameters
    ----------
    known
        The incidents that are at work.
    is_awaited
        Whether a DAG is there and not paused, by its id.
    url_of
        Where people see a DAG.

    Raises
    ------
    LakeError
        The lake cannot be read.
    """
    told = {(each.last.dataset, each.last.session) for each in known if each.healed_utc is None}
    reports = []
    for dag_id, datasets in DATASETS_OF.items():
        lacking: dict[date, list[Standing]] = {}
        for dataset in datasets:
            session = get_calendar().last_due(lake.clock.now(), OVERDUE[dataset])
            if (dataset, session) not in told and _has_begun(lake, dataset, session):
                stands = standing(lake, config, dataset, session)
                if stands.why and stands.state is not Coverage.NOT_ENTITLED:
                    lacking.setdefault(session, []).append(stands)
        if lacking and is_awaited(dag_id):
            for session, standings in lacking.items():
                reports += _reports(config, dag_id, session, standings, url_of(dag_id))
    return reports


def _has_begun(lake: Lake, dataset: str, session: date) -> bool:
    published = lake.sessions(dataset)
    return bool(published) and published[0] < session


def _reports(config: Config, dag_id: str, session: date, standings: list[Standing], url: str) -> list[Report]:
    """Return the reports on what one DAG should have published of a session, to be told together."""
    names = ", ".join(each.dataset for each in standings)
    lines = [f"- {each.dataset}: {each.state.value}: {each.why}" for each in standings]
    due, until = DUE[standings[0].dataset], OVERDUE[standings[0].dataset]
    hours = get_calendar().hours(session)
    body = "\n\n".join(
        [
            f"Due since {due(hours):%Y-%m-%d %H:%M} UTC, {due}; it should be published by {until(hours):%H:%M} UTC.",
            "\n".join(lines),
            f"No run of it has failed. See what its run waits for, or why there is none: {url}",
        ]
    )
    return [
        Report(
            report_id=f"{alerts.OVERDUE} {dag_id} {session}",
            dataset=each.dataset,
            session=session,
            blame=found.blame_of_problem(Problem(session, each.dataset, each.state.value, each.why)),
            severity=found.severity_of(config, each.dataset, [], is_partial=False),
            subject=f"{names} {session}: {alerts.OVERDUE}",
            body=body,
            causes=(alerts.OVERDUE,),
            failed=0,
            planned=0,
            dag_id=dag_id,
            watch=Watch.STANDING,
        )
        for each in standings
    ]
