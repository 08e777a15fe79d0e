"""What the modules on a real Airflow share: the stack with its simulator, what Airflow recorded, what became of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec
import tenacity

from bellwether.airflow_api import AirflowApi, Run
from bellwether.lake import Lake, Manifest
from bellwether.lake.history import publications
from bellwether.localstack import LocalStack
from bellwether.simulator.server import RunningSimulator
from bellwether_airflow.notifiers.reporting import SWEEPER

PRODUCER = "equities_daily"
CONSUMER = "session_consolidate"
KILLED_DAG, STALLED_DAG = "killed", "stalled"
STALLED_SESSION = date(2025, 7, 8)
UNIVERSE = ("AAPL", "MSFT", "QQQ", "SPY")
KEY = "local-key"

# A task that dies as one does that the kernel kills, and has no retry left; and one that records and hears nothing.
_TROUBLED = """
import os
import signal
from datetime import UTC, date, datetime, timedelta

from airflow.sdk import DAG, task
from bellwether.config import Config
from bellwether_airflow.notifiers.alert import Alert, note_failure

with DAG("killed", on_failure_callback=Alert("killed"), default_args={"on_failure_callback": note_failure}):

    @task(retries=0)
    def dies():
        os.kill(os.getpid(), signal.SIGKILL)

    dies()

with DAG("stalled"):

    @task
    def hears_nothing():
        from bellwether.streaming.lease import Heartbeat
        from bellwether_airflow.stalls import warn_of_stall

        at = datetime(2025, 7, 8, 15, 17, tzinfo=UTC)
        heard = at - timedelta(minutes=15)
        beat = Heartbeat(
            at_utc=at, state="connecting", seq=1, rows=1, gaps=0, covered_utc=heard, lag_s=None, quiet=0
        )
        warn_of_stall("equities", date(2025, 7, 8), beat, Config.load(), "session_stream")

    hears_nothing()
"""


class Event(msgspec.Struct, frozen=True):
    """An asset event, with the runs it started."""

    id: int
    name: str
    partition_key: str | None
    created_dagruns: list[dict[str, object]]

    @property
    def is_dealt_with(self) -> bool:
        """Whether a run was started by it and is over."""
        states = {run["state"] for run in self.created_dagruns}
        return bool(states) and states <= {"success", "failed"}


@dataclass(frozen=True)
class Producers:
    """A running stack with the project's DAGs and a simulator in the test's own process.

    Attributes
    ----------
    stack
        Airflow.
    simulator
        What is captured; faults can be switched at any time.
    """

    stack: LocalStack
    simulator: RunningSimulator

    @property
    def api(self) -> AirflowApi:
        """The stack's REST API."""
        return self.stack.api

    @property
    def lake_root(self) -> Path:
        """The stack's lake."""
        return self.stack.home / "lake"

    @property
    def lake(self) -> Lake:
        """The lake, opened for reading."""
        return Lake.open(self.lake_root)

    @property
    def faults(self) -> Path:
        """Folder of the fault points (`bellwether.faultpoints`)."""
        return self.stack.home / "faults"

    def connect(self) -> None:
        """Write the right `polygon_default` into Airflow's database, where people can edit it."""
        host, _, port = self.simulator.url.rpartition(":")
        extra = json.dumps({"environment": "simulated"})
        entity = {"connection_id": "polygon_default", "conn_type": "polygon", "password": KEY, "extra": extra}
        entity |= {"host": host, "port": int(port)}
        action = {"action": "create", "action_on_existence": "overwrite", "entities": [entity]}
        answer = json.loads(self.api.request("PATCH", "connections", {"actions": [action]}))
        assert answer["create"]["success"] == ["polygon_default"], answer

    def sweep(self) -> None:
        """Have incidents looked after, which happens by itself every few minutes."""
        started = self.api.trigger(SWEEPER)
        assert self.api.wait_for_run(SWEEPER, started.dag_run_id).state == "success"

    def trigger(self, key: str | None = None, **params: object) -> Run:
        """Trigger the producer, for a session or without a key, and return the run once it is over."""
        started = self.api.trigger(PRODUCER, key, params)
        return self.api.wait_for_run(PRODUCER, started.dag_run_id)

    def backfill(self, start: date, end: date) -> list[Run]:
        """Backfill a range of sessions and return the runs it made, by session, once they are over."""
        # Airflow refuses a second open backfill of a DAG, and takes up to 30 s to close one whose runs are over.
        wait_until(lambda: self.open_backfills() == 0, "an earlier backfill is still open")
        self.api.backfill(PRODUCER, start, end, max_active_runs=10)
        ids = [run.dag_run_id for run in self.backfilled(start, end)]
        return [self.api.wait_for_run(PRODUCER, run_id, timeout_s=300) for run_id in ids]

    def backfilled(self, start: date, end: date) -> list[Run]:
        """Return the runs that backfills have made of a range of sessions, by session."""
        runs = [run for run in self.api.runs(PRODUCER) if run.run_type == "backfill"]
        inside = [run for run in runs if str(start) <= str(run.partition_key) <= str(end)]
        return sorted(inside, key=lambda run: str(run.partition_key))

    def open_backfills(self) -> int:
        """Return the number of backfills Airflow has not closed yet."""
        return sum(backfill.is_open for backfill in self.api.backfills(PRODUCER))

    def states(self, run: Run) -> dict[str, str | None]:
        """Return the state of every task of a run; those of mapped tasks under their displayed names."""
        tasks = self.api.task_instances(PRODUCER, run.dag_run_id)
        return {task.rendered_map_index or task.task_id: task.state for task in tasks}

    def asked(self, session: date) -> list[str | None]:
        """Return the tickers the simulator was asked for, of one session, in order."""
        return [request.ticker for request in self.simulator.requests if request.session == session]

    @tenacity.retry(
        # Airflow answers 500 as long as a run that an event started is queued, and so has no start.
        retry=tenacity.retry_if_exception(lambda error: getattr(error, "status", None) == 500),
        stop=tenacity.stop_after_delay(120),
        wait=tenacity.wait_fixed(0.5),
        reraise=True,
    )
    def events(self, asset: str, key: str | None = None) -> list[Event]:
        """Return the events of an asset, oldest first; with a key only those of that session."""
        query = {"name_pattern": asset, "order_by": "timestamp", "limit": 100}
        content = json.loads(self.api.request("GET", "assets/events", query=query))
        assert content["total_entries"] <= 100, "more events than one page"
        found = msgspec.convert(content["asset_events"], list[Event])
        return [event for event in found if event.name == asset and key in (None, event.partition_key)]

    def gold(self, session: date) -> list[Manifest]:
        """Return the publications of a session's gold, oldest first."""
        return [manifest for _, manifest in publications(self.lake, "minutes", session)][::-1]

    def settle(self) -> None:
        """Wait until every announcement made so far has been dealt with."""

        def is_settled() -> bool:
            is_quiet = all(run.is_over for run in self.api.runs(CONSUMER))
            return is_quiet and all(event.is_dealt_with for event in self.events("session_ready"))

        wait_until(is_settled, "announcements stay unheard", timeout_s=120)

    def consumed(self) -> list[tuple[str, str]]:
        """Return (session, revision of equities) of every publication of gold, oldest first, once it has settled."""
        self.settle()
        found = [manifest for session in self.lake.sessions("minutes") for manifest in self.gold(session)]
        ordered = sorted(found, key=lambda manifest: manifest.published_utc)
        return [(str(manifest.session), manifest.inputs["equities"]) for manifest in ordered]


def prepare_home(home: Path) -> dict[str, str]:
    """Write into a stack's home what the tests add to it: a DAG and a folder of fault points.

    Returns
    -------
    dict of str to str
        The environment that the fault points need, of gold that is made of its own session alone, and of an Airflow
        that idles and repeats less.
    """
    for folder in ("dags", "faults"):
        (home / folder).mkdir()
    (home / "dags" / "troubled.py").write_text(_TROUBLED)
    return {
        # No streams, which have slots of their own.
        "AIRFLOW__CORE__PARALLELISM": "4",
        # By default a second passes between a task and the one that follows it.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.4",
        # No DAG file changes while a stack runs; reading all of them again takes a tenth of its time.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "BELLWETHER__CONSOLIDATION__WARMUP_SESSIONS": "0",
        "BELLWETHER_FAULT_DIR": str(home / "faults"),
    }


def wait_until(condition: Callable[[], bool], otherwise: str, timeout_s: float = 60.0, *, every_s: float = 0.5) -> None:
    """Look again and again until `condition` holds; fail with `otherwise` when it does not in time."""
    patience = tenacity.Retrying(
        stop=tenacity.stop_after_delay(timeout_s),
        wait=tenacity.wait_fixed(every_s),
        retry=tenacity.retry_if_result(lambda holds: not holds),
    )
    try:
        patience(condition)
    except tenacity.RetryError:
        raise AssertionError(f"after {timeout_s:.0f} s: {otherwise}") from None
