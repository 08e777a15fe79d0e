"""What verifying came to, for people and as the dataset `verification`."""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.config import Config
from bellwether.errors import NotReproduced
from bellwether.lake import Lake
from bellwether.lake.gold import GoldSubmission
from bellwether.lake.operational import operational, publish_operational
from bellwether.operational_schemas import VERIFICATION
from bellwether.verify.outcome import Outcome

DATASET = "verification"

_MOST_NAMED = 5


def publish_verification(
    lake: Lake, config: Config, session: date, outcomes: Sequence[Outcome], *, run_id: str
) -> None:
    """Publish outcomes in the partition of the run's session, beside those of other sessions that stand there.

    Raises
    ------
    LakeError
        The storage refused.
    """
    table = as_table(outcomes)
    verified = pa.array(sorted({each.session for each in outcomes}), pa.date32())

    def standing() -> dict[str, str]:
        manifest = lake.manifest(DATASET, session)
        return {"verification": manifest.publication_id} if manifest else {}

    def compose() -> GoldSubmission:
        inputs, current = standing(), lake.partition(DATASET, session)
        rows = table
        if current is not None:
            before = current.table.cast(VERIFICATION)
            rows = pa.concat_tables([before.filter(pc.invert(pc.is_in(before["session"], value_set=verified))), table])
        return operational(DATASET, config, session, run_id, rows, inputs=inputs, warnings={})

    publish_operational(lake, config, compose, standing)


def as_table(outcomes: Sequence[Outcome]) -> pa.Table:
    """Return the rows of `verification`."""
    rows = [
        {
            "session": each.session,
            "dataset": each.dataset,
            "state": each.state.value,
            "why": each.why,
            "rows": each.rows,
            "rows_rebuilt": each.rows_rebuilt,
            "rows_different": each.rows_different,
            "columns": list(each.columns),
            "revision": each.revision,
            "verified_utc": each.verified_utc,
        }
        for each in outcomes
    ]
    return pa.Table.from_pylist(rows, schema=VERIFICATION)


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a table."""
    lines = ["| session | dataset | state | rows | why |", "| --- | --- | --- | ---: | --- |"]
    for each in outcomes:
        rows = "-" if each.rows is None else f"{each.rows:,}"
        why = " ".join(each.why.split()).replace("|", "/")
        lines.append(f"| {each.session} | {each.dataset} | {each.state} | {rows} | {why} |")
    return "\n".join(lines) + "\n"


def check(outcomes: Sequence[Outcome]) -> None:
    """Fail where something published is not what its evidence comes to.

    Raises
    ------
    NotReproduced
        Names session, dataset and the first difference of each.
    """
    troubles = [str(each) for each in outcomes if each.state.is_trouble]
    if troubles:
        more = len(troubles) - _MOST_NAMED
        raise NotReproduced("; ".join(troubles[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else ""))
