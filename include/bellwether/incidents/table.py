"""The dataset `incidents`: a row for each incident of a session, as the lake holds them."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Final

import pyarrow as pa

from bellwether.config import Config
from bellwether.incidents.incident import Incident
from bellwether.incidents.ledger import of_session
from bellwether.lake import Lake
from bellwether.lake.gold import publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.operational import operational
from bellwether.operational_schemas import INCIDENTS

DATASET: Final = "incidents"


def publish_incidents(lake: Lake, config: Config, sessions: Collection[date], *, run_id: str) -> None:
    """Publish what is known of the incidents of some sessions, in place of what was known before.

    Raises
    ------
    LakeError
        The storage refused.
    """
    layout = FileLayout(config.sinks.of(DATASET), config.settings.lake.compression)
    for session in sorted(sessions):
        written: pa.Table | None = None
        # Whoever publishes meanwhile may have seen more: the last one to look has seen all.
        while (table := as_table(of_session(lake, session))) != written:
            publish_gold(
                lake, operational(DATASET, config, session, run_id, table, inputs={}, warnings={}), layout, dict
            )
            written = table


def as_table(incidents: Sequence[Incident]) -> pa.Table:
    """Return the rows of `incidents`."""
    return pa.Table.from_pylist([_row(each) for each in incidents], schema=INCIDENTS)


def _row(incident: Incident) -> dict[str, object]:
    last = incident.last
    return {
        "incident_id": incident.incident_id,
        "dataset": last.dataset,
        "cause": str(last.blame),
        "severity": incident.severity,
        "state": incident.state,
        "failed": last.failed,
        "planned": last.planned,
        "unit": last.unit,
        "subject": last.subject,
        "opened_utc": incident.opened_utc,
        "updated_utc": incident.updated_utc,
        "updates": incident.updates,
        "healed_utc": incident.healed_utc,
        "healed_by": incident.healed_by or None,
        "told_utc": incident.told.at_utc if incident.told else None,
        "run_ids": [run.run_id for run in incident.runs],
        "events": [f"{each.at_utc:%Y-%m-%d %H:%M:%S} UTC {each.what}" for each in incident.events],
    }
