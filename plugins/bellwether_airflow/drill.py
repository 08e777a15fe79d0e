"""The DAG that drills: its form, and one task that plays what the form says.

What is played and how it is judged is the library's (`bellwether.drill`); here it meets the form and the Connection
`alerts`. Nothing of the real lake is read or written.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, get_current_context, task

from bellwether.clock import SystemClock
from bellwether.config import Config
from bellwether.drill.names import DEFAULT, NAMES
from bellwether.due import DUE
from bellwether.errors import DrillFailed
from bellwether.logging import get_logger
from bellwether_airflow.notifiers.alert import Alert, run_url
from bellwether_airflow.notifiers.channels import tell
from bellwether_airflow.runs import TASK_DEFAULTS, refuse_unknown_params

if TYPE_CHECKING:
    from bellwether.monitoring.alerts import Delivery, Message

log = get_logger(__name__)
_clock = SystemClock()


_FORM = {
    "session": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Session",
        description="Which session to replay, of a generated market. Empty: the last completed.",
    ),
    "speed": Param(
        120, type="number", minimum=1, maximum=1000, title="Speed", description="Seconds of the session per second."
    ),
    "minutes": Param(
        30,
        type="integer",
        minimum=1,
        maximum=180,
        title="Minutes",
        description="Of the session, at least: it goes on until all faults are played.",
    ),
    "faults": Param(
        list(DEFAULT),
        type="array",
        items={"type": "string", "enum": list(NAMES)},
        examples=list(NAMES),
        minItems=1,
        uniqueItems=True,
        title="Faults",
        description="Played one after the other.",
    ),
    "send_alerts": Param(
        True,
        type="boolean",
        title="Send alerts",
        description="Send what people would be told to the Connection alerts, marked [drill]. Off: to the log only.",
    ),
}


def drill_dag(dag_id: str, doc_md: str) -> DAG:
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
        params=_FORM,
        tags=["bellwether", "operations", "stream"],
        doc_md=doc_md,
        on_failure_callback=Alert("drill"),
        default_args=TASK_DEFAULTS,
    ) as dag:
        play()
    return dag


@task(retries=0, execution_timeout=timedelta(hours=4))
def play() -> dict[str, Any]:
    """Play the drill, write its report to the log and to XCom, and fail where something went wrong."""
    from bellwether.drill.play import drill
    from bellwether.drill.report import as_markdown
    from bellwether.drill.request import Request

    context = get_current_context()
    refuse_unknown_params(context, _FORM)
    params, dag_id = context["params"], context["dag"].dag_id

    def send(message: "Message") -> "Delivery":
        from bellwether.monitoring.alerts import Delivery

        if params["send_alerts"]:
            return tell(message, dag_id)
        log.info(f"ALERT {message.subject}\n{message.body}")
        return Delivery("in the log only, as the form says")

    request = Request(
        session=_session(params["session"]),
        speed=params["speed"],
        minutes=params["minutes"],
        faults=tuple(params["faults"]),
    )
    report = drill(request, Config.load(), tell=send, url=run_url(dag_id, context["run_id"]), on_step=log.info)
    page = as_markdown(report)
    log.info(f"The report:\n{page}")
    context["ti"].xcom_push("report", page)
    problems = report.problems()
    if problems:
        raise DrillFailed("; ".join(problems))
    return {"faults": len(report.outcomes), "minutes": report.judged.minutes, "gaps": len(report.judged.gaps)}


def _session(text: str | None) -> date:
    from bellwether.calendar import get_calendar  # noqa: PLC0415 - loads exchange_calendars and pandas

    return get_calendar().parse(text) if text else get_calendar().last_due(_clock.now(), DUE["equities"])
