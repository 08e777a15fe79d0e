"""Which incidents are over, by what stands in the lake and what Airflow says of their runs.

Whatever mended it counts: a cleared run, another one, a recovery, an approval of drift, the command line.
"""

from collections.abc import Callable, Sequence
from functools import partial

from bellwether.config import Config
from bellwether.consolidate.inputs import RECORDER
from bellwether.due import LOOKED_BACK
from bellwether.errors import Blame
from bellwether.incidents import incident as incidents
from bellwether.incidents.found import dataset_of
from bellwether.incidents.incident import Incident, Run, Watch
from bellwether.incidents.ledger import at_work, change
from bellwether.ingest.sources import CAPTURED
from bellwether.lake import Coverage, Lake
from bellwether.logging import get_logger
from bellwether.monitoring.health import Health, Problem, Standing, sessions_until, standing
from bellwether.monitoring.workers import Worker, workers
from bellwether.schemas import LIVE
from bellwether.streaming.live import live

log = get_logger(__name__)


def heal(lake: Lake, config: Config, is_green: Callable[[Run], bool]) -> list[Incident]:
    """Note which open incidents are over; return them.

    Parameters
    ----------
    is_green
        Whether Airflow knows a run to have succeeded.

    Raises
    ------
    LakeError
        The lake refused.
    """
    open_ones = [each for each in at_work(lake) if each.healed_utc is None]
    recorders = [each for each in workers(lake, config.settings.streaming) if each.session] if open_ones else []
    found = []
    for each in open_ones:
        by = healed_by(lake, config, each, recorders, is_green)
        after = change(lake, each.incident_id, partial(_healed, seen=each, by=by, lake=lake)) if by else None
        if after is not None and after.healed_utc is not None:
            log.info("an incident is over", incident=each.incident_id, by=by)
            found.append(after)
    return found


def heal_what_is_gone(lake: Lake, health: Health, problems: Sequence[Problem]) -> None:
    """Note which incidents that only a look back can see are over: it looked at their sessions, and found nothing.

    So are those of sessions that no evening looks at any more.

    Raises
    ------
    LakeError
        The lake refused.
    """
    seen = {(dataset_of(each), each.session) for each in problems}
    looked_at = {each.session for each in health.standings}
    reach = sessions_until(health.session, LOOKED_BACK)[0]
    for each in at_work(lake):
        last = each.last
        is_gone = last.session in looked_at and (last.dataset, last.session) not in seen
        is_gone |= last.session < reach
        if last.watch is Watch.LOOK and each.healed_utc is None and is_gone:
            by = f"whatever it was: the look back on {health.session} does not find it any more"
            change(lake, each.incident_id, partial(_healed, seen=each, by=by, lake=lake))


def heal_own(lake: Lake, run: Run) -> None:
    """Note that failures of earlier runs of the sweep are over, since this one came to its end.

    Raises
    ------
    LakeError
        The lake refused.
    """
    for each in at_work(lake):
        if each.healed_utc is None and each.runs and {met.dag_id for met in each.runs} == {run.dag_id}:
            change(lake, each.incident_id, partial(_healed, seen=each, by=f"run {run.run_id}", lake=lake))


def healed_by(
    lake: Lake, config: Config, incident: Incident, recorders: list[Worker], is_green: Callable[[Run], bool]
) -> str:
    """Return which run ended an incident, or what did; empty while it goes on."""
    last = incident.last
    if last.watch is Watch.LOOK:
        return ""
    if last.blame is Blame.STALL:
        for each in recorders:
            is_its = each.session == last.session and live(each.dataset) == last.dataset
            if is_its and not (each.is_dead or each.is_stalled or each.open_gaps):
                return f"the recorder {each.writer}"
    if last.dataset in (*CAPTURED, RECORDER, *LIVE):
        found = standing(lake, config, last.dataset, last.session)
        if by := _published_by(found, incident):
            return by
        if found.why and found.state is not Coverage.NOT_ENTITLED:  # a run that somebody marked as well mends nothing
            return ""
    return f"run {incident.runs[-1].run_id}" if incident.runs and all(map(is_green, incident.runs)) else ""


def _published_by(found: Standing, incident: Incident) -> str:
    if found.manifest is None or found.why:
        return ""
    is_newer = found.manifest.published_utc > incident.updated_utc
    return f"run {found.manifest.run_id}" if is_newer or incident.last.watch is Watch.STANDING else ""


def _healed(incident: Incident, seen: Incident, by: str, lake: Lake) -> Incident:
    """Return it as healed, unless it was reported again since it was looked at."""
    is_as_seen = incident.healed_utc is None and incident.updates == seen.updates
    return incidents.healed(incident, by, lake.clock.now()) if is_as_seen else incident
