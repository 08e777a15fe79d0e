"""Deciding about rows in quarantine from the form of `ops_recover`: a preview, the decision, and gold that follows.

    settle -> inputs_ready -> announce
           -> all_settled

A dry run ends with the preview, which is the plan's page.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.config import Config
from bellwether.errors import QuarantineError
from bellwether.logging import get_logger
from bellwether.recovery.request import Mode, Request
from bellwether_airflow import connections
from bellwether_airflow.announcing import announce

if TYPE_CHECKING:
    from bellwether.quarantine.release import Judged
    from bellwether.quarantine.standing import Selection

log = get_logger(__name__)

RECOVER: Final = "recover"
_RELEASE, _DISCARD = "release", "discard"
_LEFT_OUT: Final = "left_out"


def form() -> dict[str, Param]:
    """Return what the form asks of rows in quarantine."""
    # Without null among its types the form lets nobody trigger anything who leaves a text empty.
    return {
        "action": Param(
            RECOVER,
            type="string",
            enum=[RECOVER, _RELEASE, _DISCARD],
            title="Action",
            description="recover: sessions, by the mode. release, discard: rows in quarantine, of the datasets and "
            "sessions given; the dry run lists them.",
        ),
        "rows": Param(
            [],
            type="array",
            items={"type": "string"},
            uniqueItems=True,
            title="Rows in quarantine",
            description="Their ids, like equities.2025-07-01.9f3c21aa07be; none: all that are open.",
        ),
        "rule": Param(
            None,
            type=["null", "string"],
            title="Rule",
            description="Only rows in quarantine for it, as late or high_below_low.",
        ),
        "reason": Param(
            None, type=["null", "string"], title="Reason", description="Why rows are released or discarded."
        ),
    }


def preview(params: Any) -> str:  # noqa: ANN401 - Airflow's mapping of the form
    """Return what deciding would do, as Markdown; nothing is changed."""
    from bellwether.quarantine.page import markdown

    return markdown(_judged(params))


def decide_after(planned: Any) -> None:  # noqa: ANN401 - a task's output
    """Add the tasks that decide, after the one that shows what would be done."""
    settled: Any = settle()
    planned >> settled
    ready: Any = inputs_ready(settled)
    announce(ready)
    settled >> all_settled()


@task
def settle() -> list[tuple[str, str]]:
    """Do as the form says; return the datasets and sessions concerned."""
    from bellwether.quarantine.release import settle as decide

    context = get_current_context()
    params = context["params"]
    if params["action"] == RECOVER or params["dry_run"]:
        msg = "nothing is to be decided" if params["action"] == RECOVER else "a dry run decides nothing"
        raise AirflowSkipException(msg)
    by = getattr(context["dag_run"], "triggering_user_name", None) or "somebody"
    settled = decide(
        connections.lake(),
        Config.load(),
        _judged(params),
        by=by,
        why=params["reason"] or "",
        run_id=context["run_id"],
    )
    log.info("settled", by=by, decisions=settled.decisions, published=[str(each) for each in settled.published])
    context["ti"].xcom_push(key=_LEFT_OUT, value=list(settled.left_out))
    return [(dataset, session.isoformat()) for dataset, session in settled.touched]


@task
def all_settled() -> None:
    """Fail where something came in between and rows were left out; the sessions of the others are announced.

    Raises
    ------
    QuarantineError
        It names them.
    """
    if left_out := get_current_context()["ti"].xcom_pull(task_ids="settle", key=_LEFT_OUT):
        raise QuarantineError("; ".join(left_out))


@task.short_circuit
def inputs_ready(settled: list[tuple[str, str]]) -> list[str]:
    """Go on with the sessions whose gold is to be built of what is published now."""
    from bellwether.consolidate.readiness import in_reach, readiness

    lake, config = connections.lake(), Config.load()
    reach = {each for dataset, day in settled for each in in_reach(config, dataset, date.fromisoformat(day))}
    return [session.isoformat() for session in sorted(reach) if readiness(lake, config, session).announce]


def _judged(params: Any) -> "Judged":  # noqa: ANN401 - Airflow's mapping of the form
    from bellwether.quarantine.decisions import Action
    from bellwether.quarantine.release import chosen, judge

    lake = connections.lake()
    action = Action.RELEASED if params["action"] == _RELEASE else Action.DISCARDED
    return judge(lake, action, chosen(lake, _selection(params, lake.clock.now()), action))


def _selection(params: Any, now: datetime) -> "Selection":  # noqa: ANN401 - Airflow's mapping of the form
    from bellwether.quarantine.standing import Selection

    if params["rows"]:
        return Selection(rows=tuple(params["rows"]))
    datasets = tuple(params["datasets"])
    asked = Request(datasets, Mode.QUARANTINED, _day(params["start"]), _day(params["end"]), params["last"])
    sessions = [session for dataset in datasets for session in asked.sessions(dataset, now)]
    return Selection(datasets=datasets, start=min(sessions), end=max(sessions), rule=params["rule"] or "")


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
