"""One message for each failed run, to the log and to whatever the Connection `alerts` lists.

`Alert` is a DAG's `on_failure_callback`. It runs in the dag-processor, so also for tasks that were killed,
and that process need not reach the lake: the facts come from Airflow's own database, where `report` left its
findings and each failed task what it died of (`note_failure`). Nothing here may raise. An address holds
secrets: of a sink only its scheme is ever logged.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from airflow.sdk import BaseHook, BaseNotifier
from airflow.sdk.exceptions import AirflowNotFoundException

from bellwether.clock import SystemClock
from bellwether.config import Alerts, Config
from bellwether.errors import ConfigError
from bellwether.logging import get_logger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from bellwether.monitoring.alerts import Delivery, FailedRun, Failures, Message

ALERTS_CONN_ID: Final = "alerts"
FAILURE_KEY: Final = "failure"
FAILURES_KEY: Final = "failures"

_SESSION_IN_RUN_ID = re.compile(r"__(\d{4}-\d{2}-\d{2})__")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+]{0,20})://")
# They log hosts and paths, in which webhooks carry their secrets.
_TALKATIVE = ("apprise", "urllib3")

log = get_logger(__name__)
_clock = SystemClock()


def note_failure(context: "Context") -> None:
    """Leave what the task died of for the run's alert; a task that was killed leaves nothing."""
    from bellwether.monitoring.alerts import describe

    error = context.get("exception")
    if isinstance(error, BaseException):
        context["ti"].xcom_push(key=FAILURE_KEY, value=describe(error))


def run_url(dag_id: str, run_id: str) -> str:
    """Return where the UI shows a run."""
    from airflow.sdk.configuration import conf  # noqa: PLC0415

    base_url = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    return f"{base_url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"


def tell(message: "Message", dag_id: str) -> "Delivery":
    """Write a message to the log and, unless it is to be quiet, send it; return what became of it."""
    from bellwether.monitoring.alerts import Delivery, why_quiet

    log.error(f"ALERT {message.subject}\n{message.body}", severity=message.severity)
    quiet = why_quiet(message, _settings(), dag_id, _clock.now().date())
    if quiet:
        log.info("alert stays in the log", why=quiet)
        return Delivery(f"in the log only: {quiet}")
    return _deliver(message)


class Alert(BaseNotifier):
    """Tells of a failed run, once.

    Parameters
    ----------
    what
        Its DAG captures, as people call it.
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def notify(self, context: "Context") -> None:
        """Write the alert to the log and send it; whatever goes wrong is logged and goes no further."""
        try:
            self._notify(context)
        except Exception:  # a callback that fails would be counted against the DAG
            log.exception("the alert could not be made")

    async def async_notify(self, context: "Context") -> None:
        """Do the same in the triggerer, beside its event loop."""
        from asgiref.sync import sync_to_async  # noqa: PLC0415 - Airflow's way to call the API from a trigger

        await sync_to_async(self.notify)(context)

    def _notify(self, context: "Context") -> None:
        from bellwether.monitoring.alerts import compose

        dag_id, run_id = _identity(context)
        tell(compose(self._failed_run(context, dag_id, run_id)), dag_id)

    def render_template_fields(self, context: "Context", jinja_env: object = None) -> None:
        """Do nothing: there is nothing to render, and Airflow's preparations for it fail without a full DAG."""

    # --- what is known

    def _failed_run(self, context: "Context", dag_id: str, run_id: str) -> "FailedRun":
        from bellwether.monitoring.alerts import UNREAD, FailedRun, together

        states = self._asked(lambda: _task_states(dag_id, run_id)) or {}
        failed = [task for task, state in states.items() if state == "failed"]
        # A run that was cleared and then timed out still holds what `report` found before.
        reports = [
            task_id
            for (task_id, _), state in states.items()
            if task_id.rpartition(".")[2] == "report" and state in ("success", "failed")
        ]
        found = (self._asked(partial(_failures, dag_id, run_id, task_id)) for task_id in reports)
        return FailedRun(
            subject=f"{self.what} {_session(context, run_id) or run_id}",
            reason=str(context.get("reason") or "deadline"),
            tasks={_shown(*task): self._asked(partial(_note, dag_id, run_id, *task), UNREAD) for task in failed},
            failures=together([failures for failures in found if failures is not None]),
            url=run_url(dag_id, run_id),
        )

    def _asked[T](self, question: Callable[[], T | None], otherwise: T | None = None) -> T | None:
        try:
            return question()
        except Exception as error:  # noqa: BLE001 - an alert that knows less is better than none
            log.warning("Airflow did not answer, so the alert knows less", error=type(error).__name__)
            return otherwise


def _identity(context: "Context") -> tuple[str, str]:
    """Return DAG id and run id, from a DAG's callback or a deadline's, whose run is a mapping."""
    run: Any = context.get("dag_run")
    if isinstance(run, Mapping):
        return str(run["dag_id"]), str(run["dag_run_id"])
    return context["dag"].dag_id, context["run_id"]


def _session(context: "Context", run_id: str) -> str | None:
    run: Any = context.get("dag_run")
    known = run if isinstance(run, Mapping) else vars(run) if run is not None else {}
    if key := known.get("partition_key"):
        return str(key)
    if moment := known.get("partition_date"):
        return str(moment)[:10]
    found = _SESSION_IN_RUN_ID.search(run_id)
    return found[1] if found else None


def _task_states(dag_id: str, run_id: str) -> dict[tuple[str, int], str]:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance  # noqa: PLC0415

    states = RuntimeTaskInstance.get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {})
    return {_task_key(name): str(state) for name, state in states.items()}


def _task_key(name: str) -> tuple[str, int]:
    # Airflow names a mapped task `ingest_3` here; no task of ours ends in a number.
    task_id, _, index = name.rpartition("_")
    return (task_id, int(index)) if index.isdigit() else (name, -1)


def _shown(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


def _note(dag_id: str, run_id: str, task_id: str, map_index: int) -> str | None:
    from airflow.sdk.bases.xcom import BaseXCom  # noqa: PLC0415

    note = BaseXCom.get_one(key=FAILURE_KEY, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
    return None if note is None else str(note)


def _failures(dag_id: str, run_id: str, task_id: str) -> "Failures | None":
    import msgspec
    from airflow.sdk.bases.xcom import BaseXCom  # noqa: PLC0415

    from bellwether.monitoring.alerts import Failures

    found = BaseXCom.get_one(key=FAILURES_KEY, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=-1)
    return None if found is None else msgspec.convert(found, Failures)


# --- where it goes


def _settings() -> Alerts:
    try:
        return Config.load().alerts
    except ConfigError as error:
        log.error("the configuration is wrong, so every alert is sent", error=str(error))
        return Alerts()


def _deliver(message: "Message") -> "Delivery":
    from bellwether.monitoring.alerts import Delivery

    try:
        connection = BaseHook.get_connection(ALERTS_CONN_ID)
    except AirflowNotFoundException:
        log.warning("there is no Connection for alerts, so this one stands in the log only", conn_id=ALERTS_CONN_ID)
        return Delivery("in the log only: there is no Connection `alerts`")
    try:
        addresses = list(_addresses(connection.extra_dejson))
    except Exception as error:  # noqa: BLE001 - its text or trace might hold an address
        log.error("the config of the Connection for alerts is no list of paths", error=type(error).__name__)
        return Delivery("not sent: the config of the Connection `alerts` is no list of paths", is_lost=True)
    for logger in _TALKATIVE:
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    refused = []
    for number, address in enumerate(addresses, start=1):
        scheme = found[1] if (found := _SCHEME.match(address)) else "unreadable"
        try:
            delivered, problem = _send(address, message), "refused or not reached"
        except Exception as error:  # noqa: BLE001 - one dead sink must not keep the others from hearing
            delivered, problem = False, type(error).__name__
        if not delivered:
            log.error("a sink did not take the alert", sink=number, scheme=scheme, problem=problem)
            refused.append(f"sink {number} ({scheme}): {problem}")
    if refused:
        return Delivery(f"not taken by {', '.join(refused)}", is_lost=True)
    return Delivery(f"sent to {len(addresses)} sinks" if addresses else "in the log only: `alerts` lists no sink")


def _addresses(extra: Mapping[str, Any]) -> Iterator[str]:
    """Yield the addresses of a Connection of type Apprise: `config` is an entry or a list of them, perhaps as text."""
    config = extra.get("config") or []
    config = json.loads(config) if isinstance(config, str) else config
    for entry in config if isinstance(config, list) else [config]:
        yield str(entry["path"])


def _send(address: str, message: "Message") -> bool:
    from apprise import Apprise, NotifyType  # noqa: PLC0415 - takes a while to load

    sink = Apprise()
    kind = NotifyType.WARNING if message.severity == "warning" else NotifyType.FAILURE
    return bool(sink.add(address) and sink.notify(title=message.subject, body=message.body, notify_type=kind))
