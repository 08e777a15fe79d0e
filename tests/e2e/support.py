"""What the modules on a real Airflow share: the market they capture, the stub consumer, and what Airflow recorded.

The stub consumer does what consolidation will do and no more: it is told of a session, compares its inputs with
those its own manifest records, and publishes or leaves. It knows nothing of how the inputs came about.
"""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import tenacity

from bellwether.localstack import AirflowApi

PRODUCER = "equities_daily"
CONSUMER = "stub_consolidation"
UNIVERSE = ("AAPL", "MSFT", "QQQ", "SPY")

# A capture that fails for good does so within seconds, and two batches make two mapped tasks.
QUICK = {
    "BELLWETHER__SOURCES__EQUITIES__UNIVERSE": json.dumps(UNIVERSE),
    "BELLWETHER__INGEST__BATCH_TICKERS": "2",
    "BELLWETHER__RETRY_POLICY__DEFAULT__ATTEMPTS": "2",
    "BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S": "0",
    "BELLWETHER__RETRY_POLICY__DEFAULT__AIRFLOW_RETRIES": "0",
}

_CONSUMER = """
import json
import os
from datetime import date

from airflow.sdk import DAG, PartitionedAssetTimetable, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from bellwether_airflow.assets import SESSION_READY
from bellwether_airflow.timetables import SessionMapper

with DAG(
    "stub_consolidation",
    schedule=PartitionedAssetTimetable(assets=SESSION_READY, default_partition_mapper=SessionMapper()),
    is_paused_upon_creation=False,
    catchup=False,
    max_active_runs=4,
):

    @task
    def consolidate():
        import msgspec
        import pyarrow as pa
        from bellwether.lake import files
        from bellwether.lake.manifest import METADATA_KEY, encode
        from bellwether_airflow import connections

        session = date.fromisoformat(get_current_context()["dag_run"].partition_key)
        lake = connections.lake()
        # Two runs of one session may run at once: what is compared must still hold when it is written.
        with files.locked(lake.paths.lock("minutes", session)):
            published, gold = lake.manifest("equities", session), lake.manifest("minutes", session)
            inputs = {"equities": published.revision}
            if gold is not None and gold.inputs == inputs:
                raise AirflowSkipException("gold records exactly these inputs")
            record = msgspec.structs.replace(published, dataset="minutes", inputs=inputs)
            table = pa.table({"ts": pa.array([], pa.int64())}).replace_schema_metadata({METADATA_KEY: encode(record)})
            files.write_parquet(lake.paths.partition("minutes", session), table)
            with open(os.environ["BELLWETHER_TEST_CONSUMED"], "a") as consumed:
                consumed.write(json.dumps([session.isoformat(), inputs["equities"]]) + "\\n")

    consolidate()
"""


class Event(msgspec.Struct, frozen=True):
    """An asset event, with the runs it started (their states only)."""

    id: int
    name: str
    partition_key: str | None
    created_dagruns: list[dict[str, object]]


class Consumer:
    """The stub consumer's DAG file and the record of what it has published.

    Attributes
    ----------
    dags
        Folder for `LocalStack(extra_dags=...)`.
    env
        Environment of the stack it is to run in.
    """

    def __init__(self, folder: Path) -> None:
        self.dags = folder
        (folder / "stub_consolidation.py").write_text(_CONSUMER)
        self._consumed = folder / "consumed.jsonl"
        self.env = {"BELLWETHER_TEST_CONSUMED": str(self._consumed)}

    def published(self, api: AirflowApi) -> list[tuple[str, str]]:
        """Return (session, revision of equities) of every publication, once every announcement has been dealt with."""
        wait_until(lambda: all(map(_is_dealt_with, events(api, "session_ready"))), "announcements are being dealt with")
        if not self._consumed.exists():
            return []
        return [tuple(json.loads(line)) for line in self._consumed.read_text().splitlines()]


def events(api: AirflowApi, asset: str, key: str | None = None) -> list[Event]:
    """Return the events of an asset, oldest first; with a key only those of that session."""
    query = {"name_pattern": asset, "order_by": "timestamp", "limit": 100}
    content = json.loads(api.request("GET", "assets/events", query=query))
    assert content["total_entries"] <= 100
    found = msgspec.convert(content["asset_events"], list[Event])
    return [event for event in found if event.name == asset and key in (None, event.partition_key)]


def _is_dealt_with(event: Event) -> bool:
    states = {run["state"] for run in event.created_dagruns}
    return bool(states) and states <= {"success", "failed"}


def wait_until(condition: Callable[[], bool], otherwise: str, timeout_s: float = 60.0) -> None:
    """Look again and again until `condition` holds; fail with `otherwise` when it does not in time."""
    patience = tenacity.Retrying(
        stop=tenacity.stop_after_delay(timeout_s),
        wait=tenacity.wait_fixed(0.25),
        retry=tenacity.retry_if_result(lambda holds: not holds),
    )
    try:
        patience(condition)
    except tenacity.RetryError:
        raise AssertionError(f"after {timeout_s:.0f} s: {otherwise}") from None
