"""Measures every try of a task of the project: for the datasets `performance` and `errors`, and for Airflow's metrics.

A listener of Airflow's: called in the task's own process as it starts and ends, whichever DAG it is of. What is counted
comes from `bellwether.meter`. The lake it is told to is the one the task opens (`hear_of`): a task that opens none has
no row, unless it failed. Nothing here can fail a task. Nothing here runs when it is imported.
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow.listeners import hookimpl

from bellwether import meter
from bellwether.logging import get_logger

if TYPE_CHECKING:
    from collections import Counter
    from datetime import date

    from bellwether.lake import Lake
    from bellwether.meter import Meter
    from bellwether.monitoring.tries import Recording, TryRecord

log = get_logger(__name__)

_TAG: Final = "bellwether"
_TIMINGS: Final = ("vendor", "read", "write", "limit_wait")
_COUNTERS: Final = ("api_calls", "limit_waits", "rows", "bytes_received", "bytes_written")


class _Turn(NamedTuple):
    """A task that runs in this process, and since when what is counted."""

    ti: Any
    session: "date"
    meter: "Meter"


_turn: _Turn | None = None
_recording: "Recording | None" = None


@hookimpl
def on_task_instance_running(previous_state: object, task_instance: Any) -> None:  # noqa: ANN401 - Airflow's
    """Begin to count."""
    _quietly(_begin, task_instance)


@hookimpl
def on_task_instance_success(previous_state: object, task_instance: object) -> None:
    """Tell of a try that succeeded."""
    _quietly(_end, "success", None)


@hookimpl
def on_task_instance_skipped(previous_state: object, task_instance: object) -> None:
    """Tell of a try that had nothing to do."""
    _quietly(_end, "skipped", None)


@hookimpl
def on_task_instance_failed(previous_state: object, task_instance: Any, error: object) -> None:  # noqa: ANN401
    """Tell of a try that failed, to be tried again or not."""
    _quietly(_end, str(getattr(task_instance.state, "value", task_instance.state)), error)


@hookimpl
def before_stopping(component: object) -> None:
    """Tell of a turn that ended in none of these ways: it was deferred."""
    _quietly(_end, "deferred", None)


def gauge_problems(found: "Counter[tuple[str, str]]") -> None:
    """Hand to Airflow's metrics how many problems there are, by dataset and state."""
    _quietly(_gauge, found)


def hear_of(lake: "Lake") -> None:
    """Tell a lake of the running task, from now on; called by whatever opens one for it."""
    _quietly(_tell, lake)


def _quietly(do: Any, *arguments: object) -> None:  # noqa: ANN401 - one of the functions below
    try:
        do(*arguments)
    except Exception as error:  # noqa: BLE001 - what measures must not break what is measured
        log.warning("the task is not measured", error=type(error).__name__)


def _begin(ti: Any) -> None:  # noqa: ANN401 - Airflow's RuntimeTaskInstance
    global _turn, _recording  # noqa: PLW0603 - one task has one process
    _turn = _recording = None
    session = _session_of(ti)
    if session is not None and _TAG in ti.task.dag.tags:
        _turn = _Turn(ti, session, meter.switch_on())


def _session_of(ti: Any) -> "date | None":  # noqa: ANN401
    run = ti.get_template_context()["dag_run"]
    if run.partition_key is None and run.partition_date is None:
        return None
    from bellwether_airflow.runs import session_of  # noqa: PLC0415 - it imports the notifier

    return session_of(run)


def _tell(lake: "Lake") -> None:
    global _recording  # noqa: PLW0603
    if _turn is None or _recording is not None:
        return
    # Not before: a task that opens no lake is not made to load what reads one.
    from bellwether.monitoring.tries import Identity, Recording, dataset_of

    ti = _turn.ti
    identity = Identity(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        dataset=dataset_of(ti.dag_id, ti.task_id),
        session=_turn.session,
    )
    _recording = Recording(identity, _turn.meter, lake.clock.now)
    _recording.tell(lake)


def _end(state: str, error: object) -> None:
    global _turn, _recording
    if _turn is not None and _recording is None and isinstance(error, BaseException):
        from bellwether_airflow import connections  # noqa: PLC0415 - it imports this

        connections.lake()  # that tells it of the task
    recording, _turn, _recording = _recording, None, None
    meter.switch_off()
    if recording is None:
        return
    name = ""
    if isinstance(error, BaseException):
        name = type(error).__name__
        recording.note_failure(error)
    _emit(recording.end(state, name))


def _emit(record: "TryRecord") -> None:
    """Hand the turn's figures to Airflow's own metrics, under the names of docs/monitoring.md."""
    from airflow.sdk.observability import stats  # noqa: PLC0415 - loads the metrics' backends

    from bellwether.monitoring.alerts import blame_of

    identity = record.identity
    tags = {"dag_id": identity.dag_id, "task_id": identity.task_id, "dataset": identity.dataset}
    stats.timing("bellwether.task.duration", record.duration_s * 1000, tags={**tags, "state": record.state})
    for name in _TIMINGS:
        stats.timing(f"bellwether.task.{name}", getattr(record, f"{name}_s") * 1000, tags=tags)
    for name in _COUNTERS:
        if number := getattr(record, name):
            stats.incr(f"bellwether.task.{name}", number, tags=tags)
    for name, errors in record.errors.items():
        stats.incr("bellwether.task.errors", errors.count, tags={**tags, "error": name, "cause": str(blame_of(name))})


def _gauge(found: "Counter[tuple[str, str]]") -> None:
    from airflow.sdk.observability import stats  # noqa: PLC0415 - loads the metrics' backends

    stats.gauge("bellwether.health.problems", found.total())
    for (dataset, state), number in found.items():
        stats.gauge("bellwether.health.problems_of", number, tags={"dataset": dataset, "state": _tag(state)})


def _tag(words: str) -> str:
    """Return words as a tag: what holds a blank is dropped by StatsD in InfluxDB's form."""
    return words.replace(" ", "_")
