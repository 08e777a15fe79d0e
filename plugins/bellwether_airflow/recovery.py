"""The DAG that recovers sessions of others: its form, its plan, and one task for each DAG concerned.

    plan -> recover (mapped over DAGs)
    plan -> settle -> inputs_ready -> announce, where rows in quarantine are decided about instead

What is to be done and how is the library's (`bellwether.recovery`, `bellwether.quarantine`); here it meets the form,
the slots and the waits.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowNotFoundException

from bellwether.clock import SystemClock
from bellwether.config import MOST_AIRFLOW_RETRIES, Config
from bellwether.errors import ConfigError, NotRecovered
from bellwether.logging import get_logger
from bellwether.producers import DAG_OF
from bellwether.recovery.request import Mode, Request
from bellwether_airflow import connections, quarantine
from bellwether_airflow.notifiers.alert import Alert, note_failure
from bellwether_airflow.retry import BellwetherRetryPolicy
from bellwether_airflow.triggers import RunsOver, cancel

if TYPE_CHECKING:
    from airflow.sdk import Context

    from bellwether.recovery.work import Progress

log = get_logger(__name__)
_clock = SystemClock()

_POOL = "recovery"
# Kept by Airflow beside the task, over a clear too.
_OPENED = "backfill_id"
_LONGEST_NOTE = 1000
_NEWEST, _OLDEST = "newest first", "oldest first"


def _form() -> dict[str, Param]:
    day: dict[str, Any] = {"type": ["null", "string"], "format": "date"}
    return {
        "datasets": Param(
            ["equities"],
            type="array",
            items={"type": "string", "enum": list(DAG_OF)},
            examples=list(DAG_OF),
            minItems=1,
            uniqueItems=True,
            title="Datasets",
            description="A run of a DAG that captures several captures what lacks of all of them.",
        ),
        "mode": Param(
            Mode.MISSING.value,
            type="string",
            enum=[mode.value for mode in Mode],
            title="Mode",
            description="missing: never fetched; failed: could not be fetched; revised: gold is not of today's inputs "
            "(nothing is fetched that is complete); quarantined: rows in quarantine, fetched again; force: everything.",
        ),
        "start": Param(None, **day, title="Start", description="First day; it need be no session."),
        "end": Param(None, **day, title="End", description="Last day, included. Empty: the last session due."),
        "last": Param(
            5, type="integer", minimum=1, title="Last sessions", description="How many, where no start is given."
        ),
        "budget": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="API calls, at most",
            description="Sessions beyond it are left to the next recovery. Estimated beforehand.",
        ),
        "order": Param(_NEWEST, type="string", enum=[_NEWEST, _OLDEST], title="Order"),
        **quarantine.form(),
        "dry_run": Param(True, type="boolean", title="Dry run", description="Show the plan and change nothing."),
    }


def recovery_dag(dag_id: str, doc_md: str) -> DAG:
    """Return the DAG.

    Parameters
    ----------
    dag_id
        Its id.
    doc_md
        The operator's page.
    """
    with DAG(
        dag_id=dag_id,
        schedule=None,
        # Nothing runs by itself, and what is triggered should not lie in wait.
        is_paused_upon_creation=False,
        max_active_runs=1,
        params=_form(),
        tags=["bellwether", "operations"],
        doc_md=doc_md,
        on_failure_callback=Alert("recovery"),
        default_args={
            "owner": "bellwether",
            "on_failure_callback": note_failure,
            "retries": MOST_AIRFLOW_RETRIES,
            "retry_delay": timedelta(seconds=30),
            "retry_policy": BellwetherRetryPolicy(),
        },
    ) as dag:
        planned: Any = plan()
        RecoverOperator.partial(task_id="recover", pool=_POOL, map_index_template="{{ task.work['dag_id'] }}").expand(
            work=planned
        )
        quarantine.decide_after(planned)
    return dag


@task
def plan() -> list[dict[str, Any]]:
    """Decide what is to be done, show it, and return it by DAG; nothing when the run is dry."""
    import msgspec

    from bellwether.recovery.page import markdown
    from bellwether.recovery.plan import make_plan
    from bellwether.recovery.work import works

    context = get_current_context()
    params = context["params"]
    if unknown := sorted(set(context["dag_run"].conf or {}) - set(_form())):
        msg = f"unknown parameter {', '.join(unknown)}; known: {' and '.join(_form())}"
        raise ConfigError(msg)
    if params["action"] != quarantine.RECOVER:
        _show(context, quarantine.preview(params), needs_airflow=False)
        return []
    planned_utc = _clock.now()
    made = make_plan(connections.lake(), Config.load(), _request(params))
    page = markdown(made, connections.requests_per_minute())
    _show(context, page, needs_airflow=not params["dry_run"])
    return [] if params["dry_run"] else [dict(msgspec.to_builtins(work)) for work in works(made, planned_utc)]


class RecoverOperator(BaseOperator):
    """Recovers the sessions of one DAG, without a slot while their runs are under way.

    Parameters
    ----------
    work
        A `bellwether.recovery.work.Work` as a dictionary.
    """

    def __init__(self, *, work: dict[str, Any], **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's interface
        super().__init__(**kwargs)
        self.work = work
        self._opened: int | None = None

    def execute(self, context: "Context") -> dict[str, Any]:
        """Begin, or after a clear go on where it was, in charge of the backfill that was left open."""
        return self._go_on(context, {"backfill_id": context["task_state_store"].get(_OPENED)})

    def resume(self, context: "Context", event: None = None, touched: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after runs are over; `touched` is what this execution has done so far."""
        return self._go_on(context, touched or {})

    def on_kill(self) -> None:
        """Cancel the backfill that was just opened."""
        cancel(self._opened)

    def _go_on(self, context: "Context", touched: dict[str, Any]) -> dict[str, Any]:
        import msgspec

        from bellwether.recovery.plan import is_settled
        from bellwether.recovery.work import Touched, Work, go_on

        work, lake, config = msgspec.convert(self.work, Work), connections.lake(), Config.load()
        request = _request(context["params"])
        progress = go_on(
            connections.airflow(),
            work,
            msgspec.convert(touched, Touched),
            lambda session: is_settled(lake, config, request, work.dag_id, session),
        )
        self._opened = progress.touched.backfill_id
        if self._opened is not None:
            context["task_state_store"].set(_OPENED, self._opened)
        counts = {name: len(getattr(progress, name)) for name in ("done", "failed", "left")}
        log.info(progress.says or "going on", **counts)
        if progress.wait is not None:
            self.defer(
                trigger=RunsOver(msgspec.to_builtins(progress.wait)),
                method_name="resume",
                kwargs={"touched": msgspec.to_builtins(progress.touched)},
            )
        return _judged(work.dag_id, progress)


def _judged(dag_id: str, progress: "Progress") -> dict[str, Any]:
    from bellwether.recovery.page import spans

    if progress.failed:
        msg = f"{len(progress.failed)} sessions of {dag_id} failed again: {spans(progress.failed)}"
        raise NotRecovered(msg)
    return {"dag_id": dag_id, "recovered": len(progress.done)}


def _request(params: Any) -> Request:  # noqa: ANN401 - Airflow's mapping of the form
    def day(name: str) -> date | None:
        return date.fromisoformat(params[name]) if params[name] else None

    return Request(
        datasets=tuple(params["datasets"]),
        mode=Mode(params["mode"]),
        start=day("start"),
        end=day("end"),
        last=params["last"],
        budget=params["budget"],
        newest_first=params["order"] == _NEWEST,
    )


def _show(context: "Context", page: str, *, needs_airflow: bool) -> None:
    log.info(f"The plan:\n{page}")
    context["ti"].xcom_push("page", page)
    _note(context, page, needs_airflow=needs_airflow)


def _note(context: "Context", page: str, *, needs_airflow: bool) -> None:
    """Show the beginning of the plan as the run's note; without the Connection where the plan is done without, too."""
    try:
        api = connections.airflow()
    except AirflowNotFoundException:
        if needs_airflow:
            raise
        log.info(f"no Connection {connections.AIRFLOW_CONN_ID}: the plan stands in this log and in XCom")
        return
    shown = (
        page
        if len(page) <= _LONGEST_NOTE
        else f"{page[: _LONGEST_NOTE - 40].rpartition('\n')[0]}\n\n... the log has all of it"
    )
    api.set_note(context["dag"].dag_id, context["run_id"], shown)
