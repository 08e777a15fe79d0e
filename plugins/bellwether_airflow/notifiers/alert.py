"""What a DAG tells of its failed runs: reports, of which incidents are made.

`Alert` is a DAG's `on_failure_callback`, which runs in the dag-processor, so also for tasks that were killed. The facts
come from Airflow's own database, where `report` left its findings and each failed task what it died of
(`note_failure`). Nothing here may raise.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from airflow.sdk import BaseNotifier

from bellwether.clock import SystemClock
from bellwether.logging import get_logger
from bellwether_airflow.notifiers.reporting import report

if TYPE_CHECKING:
    from airflow.sdk import Context

    from bellwether.config import Config
    from bellwether.incidents.incident import Report
    from bellwether.lake import Lake
    from bellwether.monitoring.alerts import FailedRun, Failures, Message

FAILURE_KEY: Final = "failure"
FAILURES_KEY: Final = "failures"

_SESSION_IN_RUN_ID = re.compile(r"__(\d{4}-\d{2}-\d{2})__")

log = get_logger(__name__)
_clock = SystemClock()


@dataclass(frozen=True)
class _Found:
    """What is known of a run.

    Attributes
    ----------
    whole, parts
        What failed, in all and by group of tasks; the group of a DAG without groups is empty.
    tasks
        How many of each task there are, by its name with its group.
    """

    whole: "FailedRun"
    parts: "Mapping[str, FailedRun]"
    tasks: Mapping[str, int]


def note_failure(context: "Context") -> None:
    """Leave what the task died of for the run's alert; a task that was killed leaves nothing."""
    from bellwether.monitoring.alerts import describe

    error = context.get("exception")
    if isinstance(error, BaseException):
        context["ti"].xcom_push(key=FAILURE_KEY, value=describe(error))


def dag_url(dag_id: str) -> str:
    """Return where the UI shows a DAG."""
    from airflow.sdk.configuration import conf  # noqa: PLC0415

    base_url = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    return f"{base_url}/dags/{dag_id}"


def run_url(dag_id: str, run_id: str) -> str:
    """Return where the UI shows a run."""
    return f"{dag_url(dag_id)}/runs/{quote(run_id, safe='')}"


class Alert(BaseNotifier):
    """Tells of a run that failed.

    Parameters
    ----------
    what
        Its DAG captures, as people call it.
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def notify(self, context: "Context") -> None:
        """Report what is wrong with the run; whatever goes wrong with that is logged and goes no further."""
        try:
            self._notify(context)
        except Exception:  # a callback that fails would be counted against the DAG
            log.exception("the alert could not be made")

    def render_template_fields(self, context: "Context", jinja_env: object = None) -> None:
        """Do nothing: there is nothing to render, and Airflow's preparations for it fail without a full DAG."""

    def _notify(self, context: "Context") -> None:
        from bellwether.monitoring.alerts import compose

        dag_id, run_id = context["dag"].dag_id, context["run_id"]
        session = _session(context, run_id)
        found = self._found(context, dag_id, run_id, session)
        message = compose(found.whole)
        report(partial(self._reports, found, message, dag_id, run_id, session), message, dag_id)

    def _reports(
        self,
        found: _Found,
        message: "Message",
        dag_id: str,
        run_id: str,
        session: str | None,
        _: "Lake",
        config: "Config",
    ) -> "list[Report]":
        from bellwether.incidents.found import concerned, in_a_session, of_failed_run
        from bellwether.incidents.incident import Run

        filed = in_a_session(_as_session(session), _clock.now().date())
        if filed is None:
            log.info("no session, no incident", day=session)
            return []
        names = {group: concerned(self.what, group) for group in found.parts}
        planned = {
            f"{names[group]}.{step}": count
            for name, count in found.tasks.items()
            for group, _, step in (name.rpartition("."),)
            if group in names
        }
        parts = {names[group]: part for group, part in found.parts.items()}
        return of_failed_run(config, message, parts, session=filed, run=Run(dag_id, run_id), planned_tasks=planned)

    # --- what is known

    def _found(self, context: "Context", dag_id: str, run_id: str, session: str | None) -> _Found:
        from bellwether.monitoring.alerts import UNREAD, FailedRun, together

        states = self._asked(lambda: _task_states(dag_id, run_id)) or {}
        failed = [task for task, state in states.items() if state == "failed"]
        # A run that was cleared and then timed out still holds what `report` found before.
        reports = [
            task_id
            for (task_id, _), state in states.items()
            if task_id.rpartition(".")[2] == "report" and state in ("success", "failed")
        ]
        found = {_group(task_id): self._asked(partial(_failures, dag_id, run_id, task_id)) for task_id in reports}
        notes = {task: self._asked(partial(_note, dag_id, run_id, *task), UNREAD) for task in failed}
        subject, reason = f"{self.what} {session or run_id}", str(context.get("reason"))
        url = run_url(dag_id, run_id)

        def part(groups: "set[str]") -> FailedRun:
            return FailedRun(
                subject=subject,
                reason=reason,
                tasks={_shown(*task): words for task, words in notes.items() if _group(task[0]) in groups},
                failures=together([each for group, each in found.items() if each and group in groups]),
                url=url,
            )

        concerned = {_group(task_id) for task_id, _ in notes} or {""}
        return _Found(
            whole=part(concerned | set(found)),
            parts={group: part({group}) for group in sorted(concerned)},
            tasks=Counter(task_id for task_id, _ in states),
        )

    def _asked[T](self, question: Callable[[], T | None], otherwise: T | None = None) -> T | None:
        try:
            return question()
        except Exception as error:  # noqa: BLE001 - an alert that knows less is better than none
            log.warning("Airflow did not answer, so the alert knows less", error=type(error).__name__)
            return otherwise


def _session(context: "Context", run_id: str) -> str | None:
    run: Any = context.get("dag_run")
    known = vars(run) if run is not None else {}
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


def _group(task_id: str) -> str:
    return task_id.rpartition(".")[0]


def _as_session(key: str | None) -> date | None:
    try:
        return date.fromisoformat(key) if key else None
    except ValueError:
        return None
