"""What restatements come to: the dataset `restatements` of the session that was restated, and words for people."""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from bellwether.config import Config
from bellwether.lake import Lake
from bellwether.lake.gold import GoldSubmission
from bellwether.lake.operational import operational, publish_operational
from bellwether.lake.publish import Publication
from bellwether.operational_schemas import RESTATEMENTS
from bellwether.quarantine.held import late_waiting
from bellwether.restatement.history import Restatement, restatements

DATASET = "restatements"


def publish_restatements(lake: Lake, config: Config, session: date, *, run_id: str) -> Publication:
    """Publish what restated a session, as far back as its revisions are kept; asks nobody but the lake.

    Raises
    ------
    LakeError
        A kept revision is damaged, or the storage refused.
    """

    def compose() -> GoldSubmission:
        inputs = _inputs(lake, config, session)
        found = [
            (dataset, each)
            for dataset in config.settings.restatement.tolerance
            for each in restatements(lake, config, dataset, session)
        ]
        tables = [_rows(dataset, each) for dataset, each in found]
        table = pa.concat_tables([RESTATEMENTS.empty_table(), *tables])
        over = {f"{dataset}_over_tolerance": 0 for dataset, _ in found}
        for dataset, each in found:
            over[f"{dataset}_over_tolerance"] += each.is_over
        return operational(DATASET, config, session, run_id, table, inputs=inputs, warnings=over)

    return publish_operational(lake, config, compose, lambda: _inputs(lake, config, session))


def _inputs(lake: Lake, config: Config, session: date) -> dict[str, str]:
    manifests = (lake.manifest(dataset, session) for dataset in config.settings.restatement.tolerance)
    return {manifest.dataset: manifest.revision for manifest in manifests if manifest is not None}


def _rows(dataset: str, each: Restatement) -> pa.Table:
    rows, manifest = each.found.rows, each.manifest
    columns = {
        "dataset": pa.repeat(dataset, len(rows)),
        "pulled_utc": pa.array([manifest.published_utc] * len(rows), RESTATEMENTS.field("pulled_utc").type),
        "sessions_later": pa.array([each.sessions_later] * len(rows), pa.int32()),
        "replaced": pa.repeat(each.replaced, len(rows)),
        "revision": pa.repeat(manifest.revision, len(rows)),
    }
    return pa.table(
        [columns.get(name, rows[name] if name in rows.column_names else None) for name in RESTATEMENTS.names],
        RESTATEMENTS,
    )


def as_markdown(lake: Lake, config: Config, pulls: Sequence[tuple[str, date, int, str]]) -> str:
    """Return a summary of what was fetched again.

    Parameters
    ----------
    pulls
        Of each the dataset, the session, how many sessions later it was, and how its run ended.
    """
    lines = [
        "| session | dataset | fetched again | bars changed | new | gone | largest move, bp | volume difference | |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for dataset, session, later, state in pulls:
        newest = next(
            (each for each in restatements(lake, config, dataset, session) if each.sessions_later == later), None
        )
        lines.append(
            f"| {session} | {dataset} | T+{later} | {_cells(newest)} | {_says(lake, dataset, session, state, newest)} |"
        )
    return "\n".join(lines) + "\n"


def _cells(newest: Restatement | None) -> str:
    if newest is None:
        return "0 | 0 | 0 | - | -"
    found = newest.found
    return (
        f"{found.changed:,} | {found.added:,} | {found.removed:,} | {found.max_move_bp:.2f} | "
        f"{found.volume_difference:+,.0f}"
    )


def _says(lake: Lake, dataset: str, session: date, state: str, newest: Restatement | None) -> str:
    if state != "success":
        return f"its run is {state}, and tells why"
    late = late_waiting(lake, lake.manifest(dataset, session))
    said = ["as it was" if newest is None else "over tolerance: announced" if newest.is_over else "within tolerance"]
    return "; ".join(said + ([f"{late} rows too late, in quarantine"] if late else []))
