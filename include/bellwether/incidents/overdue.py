"""What should be published by now and is not, whatever its run does: hangs, or was never created.

By the calendar and what stands in the lake, not by a deadline of the run: what was never created has none.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.due import DUE, OVERDUE
from bellwether.incidents import found
from bellwether.incidents.incident import Incident, Report, Watch
from bellwether.lake import Lake
from bellwether.logging import tame
from bellwether.monitoring import alerts
from bellwether.monitoring.health import Problem, Standing, standing
from bellwether.monitoring.judging import standstill
from bellwether.monitoring.performance import known_tries
from bellwether.monitoring.tries import DEFERRED
from bellwether.producers import DATASETS_OF

# Sessions before: one that was revised since does not tell that nobody captured then.
_LOOKED_AT = 5


def overdue(
    lake: Lake,
    config: Config,
    known: Sequence[Incident],
    *,
    is_awaited: Callable[[str], bool],
    url_of: Callable[[str], str],
) -> list[Report]:
    """Return the reports on the last session of each dataset that should be over, where nothing of it is published.

    Nothing is said of a dataset that nobody captured yet when the session was due, of what an open incident tells
    already, and of what waits because the vendor asked it to.

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
    reports: list[Report] = []
    for dag_id, datasets in DATASETS_OF.items():
        session = get_calendar().last_due(lake.clock.now(), OVERDUE[datasets[0]])
        lacking = [
            standing(lake, config, dataset, session)
            for dataset in datasets
            if (dataset, session) not in told and _is_owed(lake, config, dataset, session)
        ]
        if lacking and is_awaited(dag_id):
            reports += _reports(config, dag_id, session, lacking, url_of(dag_id))
    return reports


def _is_owed(lake: Lake, config: Config, dataset: str, session: date) -> bool:
    if lake.manifest(dataset, session) is not None or not _was_captured(lake, dataset, session):
        return False
    now, settings = lake.clock.now(), config.settings.monitoring.performance
    longest = timedelta(seconds=config.retry_policy.longest_wait_s)
    return not any(
        record.identity.dataset == dataset
        and record.state == DEFERRED
        and not standstill(record, settings, now, longest)
        for record in known_tries(lake, session)
    )


def _was_captured(lake: Lake, dataset: str, session: date) -> bool:
    """Whether sessions were captured when this one was due; who began since has all of it to come."""
    due = DUE[dataset](get_calendar().hours(session))
    before = [each for each in lake.sessions(dataset) if each < session][-_LOOKED_AT:]
    published = [manifest for each in before if (manifest := lake.manifest(dataset, each))]
    return any(manifest.published_utc <= due for manifest in published)


def _reports(config: Config, dag_id: str, session: date, standings: list[Standing], url: str) -> list[Report]:
    """Return the reports on what one DAG should have published of a session, to be told together."""
    names = ", ".join(each.dataset for each in standings)
    lines = [f"- {each.dataset}: {each.state.value}: {tame(each.why)}" for each in standings]
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
