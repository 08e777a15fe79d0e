"""The questions and orders, a method each."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import quote

import msgspec

from bellwether.airflow_api.records import Backfill, Dag, DagSchedule, Run, TaskInstance
from bellwether.airflow_api.transport import ApiError, Json, Transport

_POLL_S = 0.5


class _Named(msgspec.Struct, frozen=True):
    name: str


class _Task(msgspec.Struct, frozen=True):
    task_id: str
    pool: str


class _Connection(msgspec.Struct, frozen=True):
    connection_id: str
    conn_type: str


class AirflowApi:
    """A client of one Airflow.

    Parameters
    ----------
    url
        Base URL, e.g. `http://127.0.0.1:8080`.
    username, password
        Login of a user.
    """

    def __init__(self, url: str, username: str, password: str) -> None:
        self._http = Transport(url, username, password)

    def request(self, method: str, path: str, body: Json | None = None, query: Json | None = None) -> bytes:
        """Send a request that has no method of its own here; see `Transport.request`."""
        return self._http.request(method, path, body, query)

    def health(self) -> dict[str, str]:
        """Return the state of every component that reports one, e.g. `{"scheduler": "healthy"}`.

        Raises
        ------
        ApiError
            The api-server does not answer (yet).
        """
        content = json.loads(self._http.public("monitor/health"))
        return {name: str(part["status"]) for name, part in content.items() if part and part.get("status")}

    def version(self) -> str:
        """Return Airflow's version."""
        return str(json.loads(self._http.request("GET", "version"))["version"])

    # --- DAGs

    def dags(self) -> list[Dag]:
        """Return the DAGs parsed so far."""
        return self._http.pages("dags", "dags", Dag, {})

    def wait_for_dags(self, dag_ids: Sequence[str] = (), *, timeout_s: float = 180.0) -> list[Dag]:
        """Wait until these DAGs (or, with none named, any) have been parsed.

        Raises
        ------
        ApiError
            They did not appear; the message holds the import errors.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.dags()
            names = {dag.dag_id for dag in found}
            if names and names.issuperset(dag_ids):
                return found
            if time.monotonic() > deadline:
                errors = "; ".join(f"{file}: {trace}" for file, trace in self.import_errors().items()) or "none"
                message = (
                    f"DAGs not there after {timeout_s:.0f} s: {sorted(set(dag_ids) - names)}; import errors: {errors}"
                )
                raise ApiError(message)
            time.sleep(_POLL_S)

    def schedule(self, dag_id: str) -> DagSchedule:
        """Return what a DAG will do by itself."""
        return msgspec.json.decode(self._http.request("GET", f"dags/{dag_id}/details"), type=DagSchedule)

    def task_pools(self, dag_id: str) -> dict[str, str]:
        """Return the pool each task of a DAG names."""
        content = json.loads(self._http.request("GET", f"dags/{dag_id}/tasks"))
        return {task.task_id: task.pool for task in msgspec.convert(content["tasks"], list[_Task])}

    def import_errors(self) -> dict[str, str]:
        """Return the DAG files that do not import, with their tracebacks."""
        content = json.loads(self._http.request("GET", "importErrors", query={"limit": 100}))
        return {error["filename"]: error["stack_trace"] for error in content["import_errors"]}

    def is_paused(self, dag_id: str) -> bool:
        """Return whether a DAG is paused."""
        return msgspec.json.decode(self._http.request("GET", f"dags/{dag_id}"), type=Dag).is_paused

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        """Pause a DAG, or let it run."""
        self._http.request("PATCH", f"dags/{dag_id}", {"is_paused": paused})

    # --- runs

    def trigger(
        self, dag_id: str, partition_key: str | None = None, conf: Json | None = None, run_id: str | None = None
    ) -> Run:
        """Start a run, for the session `partition_key` (`YYYY-MM-DD`) or for the DAG's own choice."""
        body = {"logical_date": None, "partition_key": partition_key, "conf": conf or {}, "dag_run_id": run_id}
        return msgspec.json.decode(self._http.request("POST", f"dags/{dag_id}/dagRuns", body), type=Run)

    def run(self, dag_id: str, run_id: str) -> Run:
        """Return one run."""
        return msgspec.json.decode(self._http.request("GET", f"dags/{dag_id}/dagRuns/{_id(run_id)}"), type=Run)

    def runs(
        self, dag_id: str, partition_key: str | None = None, *, start: date | None = None, end: date | None = None
    ) -> list[Run]:
        """Return the runs of a DAG, oldest first; only those of one session, or of those from `start` to `end`."""
        asked = {
            "partition_key_prefix_pattern": partition_key,
            "partition_date_gte": start and start.isoformat(),
            "partition_date_lte": end and end.isoformat(),
        }
        query = {name: value for name, value in asked.items() if value is not None}
        return self._http.pages(f"dags/{dag_id}/dagRuns", "dag_runs", Run, query)

    def set_note(self, dag_id: str, run_id: str, note: str) -> None:
        """Write a run's note, Markdown; Airflow takes up to 1,000 characters."""
        self._http.request("PATCH", f"dags/{dag_id}/dagRuns/{_id(run_id)}", {"note": note})

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout_s: float = 120.0) -> Run:
        """Wait until a run is over and return it.

        Raises
        ------
        ApiError
            It is not over in time; the message names the tasks' states.
        """
        deadline = time.monotonic() + timeout_s
        while not (run := self.run(dag_id, run_id)).is_over:
            if time.monotonic() > deadline:
                states = {task.task_id: task.state for task in self.task_instances(dag_id, run_id)}
                message = f"{dag_id} {run_id} is still {run.state} after {timeout_s:.0f} s: {states}"
                raise ApiError(message)
            time.sleep(_POLL_S)
        return run

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Return the task instances of a run; `~` as `run_id` means all runs of the DAG."""
        return self._http.pages(
            f"dags/{dag_id}/dagRuns/{_id(run_id)}/taskInstances", "task_instances", TaskInstance, {}
        )

    def log(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, try_number: int = 1) -> str:
        """Return the log of one try of a task, one JSON event or text per line."""
        path = f"dags/{dag_id}/dagRuns/{_id(run_id)}/taskInstances/{task_id}/logs/{try_number}"
        content = json.loads(self._http.request("GET", path, query={"map_index": map_index, "full_content": "true"}))
        return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in content["content"])

    def clear(
        self, dag_id: str, run_id: str, tasks: Sequence[str | tuple[str, int]] = (), *, only_failed: bool = True
    ) -> list[str]:
        """Clear tasks of a run (all of them where none are named) with what follows them, so that they run again.

        Returns
        -------
        list of str
            Ids of the tasks cleared.
        """
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": only_failed, "reset_dag_runs": True}
        if tasks:
            body |= {"task_ids": list(tasks), "include_downstream": True}
        content = json.loads(self._http.request("POST", f"dags/{dag_id}/clearTaskInstances", body))
        return [task["task_id"] for task in content["task_instances"]]

    # --- backfills

    def backfill(
        self,
        dag_id: str,
        start: date,
        end: date,
        *,
        conf: Json | None = None,
        max_active_runs: int = 3,
        again: bool = False,
        backwards: bool = False,
    ) -> Backfill:
        """Open a backfill over a range of sessions, first and last included; a DAG can have one at a time.

        Parameters
        ----------
        dag_id, start, end, conf, max_active_runs
            As in Airflow's form.
        again
            Whether sessions that have a run which is over get another beside it.
        backwards
            Whether the last session runs first.
        """
        body = {
            "dag_id": dag_id,
            "from_date": f"{start}T00:00:00Z",
            "to_date": f"{end}T00:00:00Z",
            "reprocess_behavior": "completed" if again else "none",
            "run_backwards": backwards,
            "max_active_runs": max_active_runs,
            "dag_run_conf": conf or {},
        }
        return msgspec.json.decode(self._http.request("POST", "backfills", body), type=Backfill)

    def backfills(self, dag_id: str) -> list[Backfill]:
        """Return the backfills of a DAG, those that are over too."""
        return self._http.pages("backfills", "backfills", Backfill, {"dag_id": dag_id})

    def cancel_backfill(self, backfill_id: int) -> None:
        """End a backfill: its runs that wait are failed, those under way go on to their end."""
        self._http.request("PUT", f"backfills/{backfill_id}/cancel")

    # --- pools and Connections

    def pools(self) -> list[str]:
        """Return the names of all pools."""
        return [pool.name for pool in self._http.pages("pools", "pools", _Named, {})]

    def connections(self) -> dict[str, str]:
        """Return the types of the Connections in Airflow's database by id; what else is in them is not kept."""
        found = self._http.pages("connections", "connections", _Connection, {})
        return {connection.connection_id: connection.conn_type for connection in found}

    def import_pools(self, pools: Mapping[str, Json]) -> None:
        """Create the pools of `config/pools.json`; a pool that exists keeps what its users set."""
        entities = [{"name": name, **pool} for name, pool in pools.items()]
        action = {"action": "create", "action_on_existence": "skip", "entities": entities}
        answer = json.loads(self._http.request("PATCH", "pools", {"actions": [action]}))
        if errors := answer.get("create", {}).get("errors"):
            message = f"pools were refused: {errors}"
            raise ApiError(message)


def _id(run_id: str) -> str:
    return quote(run_id, safe="~")
