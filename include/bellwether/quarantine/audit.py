"""The dataset `quarantine_audit`: a row for each refused row of a session that somebody decided about, per decision."""

from datetime import date

import pyarrow as pa

from bellwether.config import Config
from bellwether.lake import Lake
from bellwether.lake.gold import GoldSubmission
from bellwether.lake.operational import operational, publish_operational
from bellwether.operational_schemas import QUARANTINE_AUDIT
from bellwether.quality.prepare import REASON_COLUMN
from bellwether.quarantine.decisions import Log, read_log
from bellwether.quarantine.identity import row_id
from bellwether.schemas import FORMS

DATASET = "quarantine_audit"


def publish_audit(lake: Lake, config: Config, session: date, *, run_id: str) -> None:
    """Publish all decisions about a session's refused rows, in place of what was published of them before.

    Raises
    ------
    LakeError
        A decision is damaged, or the storage refused.
    """

    def logs() -> list[Log]:
        return [read_log(lake, dataset, session) for dataset in sorted(FORMS)]

    def compose() -> GoldSubmission:
        found = logs()
        return operational(DATASET, config, session, run_id, as_table(found), inputs=_names(found), warnings={})

    publish_operational(lake, config, compose, lambda: _names(logs()))


def as_table(logs: list[Log]) -> pa.Table:
    """Return the rows of `quarantine_audit` of a session."""
    rows = [
        {
            "dataset": log.dataset,
            "number": entry.number,
            "row_id": row_id(log.dataset, log.session, row.digest),
            "action": entry.decision.action.value,
            "subject": row.subject,
            "key": row.key,
            "digest": row.digest,
            "broke": broke,
            "stage_id": row.origin.stage_id,
            "decided_by": entry.decision.by,
            "decided_utc": entry.decision.at_utc,
            "reason": entry.decision.why,
        }
        for log in logs
        for entry in log.entries
        for row, broke in zip(entry.decision.rows, entry.table[REASON_COLUMN].to_pylist(), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=QUARANTINE_AUDIT)


def _names(logs: list[Log]) -> dict[str, str]:
    """Return the decisions as inputs: whoever publishes fewer of them is told, and looks again."""
    return {f"{log.dataset}#decisions": str(len(log.entries)) for log in logs if log.entries}
