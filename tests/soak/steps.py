"""What the tasks of the producer's DAG and its consumer do, step by step, without Airflow.

Each of these runs in a child process of its own, may be killed anywhere, and is then run again.
"""

import json
import os
import secrets
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import pyarrow as pa

from bellwether.cli.options import VendorAccess
from bellwether.config import Config
from bellwether.consolidate.readiness import readiness
from bellwether.faultpoints import reach
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import publish_stage, validate_stage
from bellwether.ingest.plan import Batch, plan_session
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import METADATA_KEY, encode
from bellwether.sources.rest import PolygonRest
from tests.soak.scene import DATASET, Scene

GOLD = "minutes"
ANNOUNCED = "announce.recorded"
"""The announcement is made, and the task has not yet succeeded."""


def plan(lake: Lake, url: str, session: date, run_id: str, tickers: Sequence[str]) -> Any:
    """Plan to fetch tickers, all by default, again."""
    stage_id = f"{run_id}-{secrets.token_hex(3)}"
    config = Config.load()
    batches = plan_session(
        lake, config, _vendor(url, config), DATASET, session, stage_id=stage_id, tickers=tickers, force=True
    )
    return msgspec.to_builtins(batches)


def fetch(lake: Lake, url: str, batch: Batch) -> Any:
    """Fetch and stage one batch."""
    config = Config.load()
    return msgspec.to_builtins(fetch_batch(lake, _vendor(url, config), config, batch))


def _vendor(url: str, config: Config) -> PolygonRest:
    return VendorAccess(url, "soak-test-key", environment="simulated").connect(config)


def validate(lake: Lake, batches: Sequence[Batch]) -> None:
    """Validate the stage."""
    validate_stage(lake, Config.load(), batches)


def publish(lake: Lake, plan: Batch, run_id: str) -> bool:
    """Publish the stage; return whether that changed the partition."""
    return publish_stage(
        lake, Config.load(), DATASET, plan.session, stage_id=plan.stage_id, run_id=run_id, accept_loss=True
    ).changed


def revision(lake: Lake, session: date) -> str:
    """Return the revision in force; empty if nothing is published."""
    manifest = lake.manifest(DATASET, session)
    return manifest.revision if manifest else ""


def history(lake: Lake, session: date) -> tuple[str, int]:
    """Return the revision in force, and how many publications it has replaced."""
    return revision(lake, session), len(list(lake.storage.list(paths.revisions(DATASET, session))))


def ready(lake: Lake, session: date) -> bool:
    """Decide whether to announce the session."""
    return readiness(lake, Config.load(), session).announce


def announce(scene: Scene, session: date) -> None:
    """Put an announcement into the outbox; killed after that, the step is run again and announces twice."""
    _append(scene.outbox, session.isoformat())
    reach(ANNOUNCED, session)


def consume(scene: Scene, heard: int) -> int:
    """Do what consolidation does with every announcement after the first `heard`; return how many there are.

    It compares its inputs with those its own manifest records, and publishes or leaves.
    """
    announced = [date.fromisoformat(json.loads(line)) for line in scene.outbox.read_text().splitlines()]
    lake = scene.lake()
    for session in announced[heard:]:
        published, gold = lake.manifest(DATASET, session), lake.partition(GOLD, session)
        if published is None:
            msg = f"{session} was announced with nothing published"
            raise AssertionError(msg)
        inputs = {DATASET: published.revision}
        if gold is not None and gold.manifest.inputs == inputs:
            continue
        record = msgspec.structs.replace(published, dataset=GOLD, inputs=inputs)
        table = pa.table({"ts": pa.array([], pa.int64())}).replace_schema_metadata({METADATA_KEY: encode(record)})
        lake.write_parquet(paths.partition(GOLD, session), table)
        _append(scene.consumed, [session.isoformat(), published.revision])
    return len(announced)


def _append(path: os.PathLike[str], record: object) -> None:
    # One write of one line: whole or not there, like a row of a database.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, json.dumps(record).encode() + b"\n")
    os.close(descriptor)
