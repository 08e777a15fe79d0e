"""The consolidation of a session: gold built from what is published of it, published once for each set of inputs.

    plan -> build_chain (mapped over underlyings) -> build_minutes -> publish

Runs are started by `session_ready`, or by hand with a key. A run that has nothing to do skips and says why, so a
surplus announcement costs seconds; one that is overtaken by a newer input leaves too, since that input has announced
the session again. Tasks hand over through the stage in the lake; XCom carries the plan. Everything heavy is imported
inside the tasks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, PartitionedAssetTimetable, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.config import Config
from bellwether.errors import InputsChanged
from bellwether_airflow import connections
from bellwether_airflow.assets import CHAIN, MINUTES, SESSION_READY
from bellwether_airflow.notifiers.alert import Alert
from bellwether_airflow.runs import (
    TASK_DEFAULTS,
    is_first_try_after_clear,
    new_stage_id,
    refuse_unknown_params,
    session_of,
    was_cleared,
)
from bellwether_airflow.timetables import SessionMapper

if TYPE_CHECKING:
    from bellwether.consolidate.handover import GoldPlan

_PLAN = "plan"
_FORM = {
    "force": Param(
        default=False,
        type="boolean",
        title="Build again",
        description="Build gold that records these inputs already once more: other settings, or another version of "
        "Bellwether, may give other rows. Clearing a run does so by itself.",
    )
}


def session_consolidation(dag_id: str, doc_md: str) -> DAG:
    """Return the DAG that consolidates sessions.

    Parameters
    ----------
    dag_id
        Its name.
    doc_md
        The operator's page.
    """
    with DAG(
        dag_id=dag_id,
        schedule=PartitionedAssetTimetable(assets=SESSION_READY, default_partition_mapper=SessionMapper()),  # type: ignore[arg-type]
        catchup=False,
        # What happens while a consumer is paused is lost to it.
        is_paused_upon_creation=False,
        max_active_runs=4,
        params=_FORM,
        tags=["bellwether", "consumer", "minutes", "chain"],
        doc_md=doc_md,
        on_failure_callback=Alert("gold"),
        default_args=TASK_DEFAULTS,
    ) as dag:
        planned: Any = plan()
        chains = build_chain.partial(planned=planned[_PLAN]).expand(underlying=planned)
        minutes = build_minutes(planned[_PLAN])
        chains >> minutes >> publish(planned[_PLAN])
    return dag


@task
def plan() -> list[str]:
    """Compare what is published with what gold records; return the underlyings whose chains are to be built."""
    import msgspec

    from bellwether.consolidate.build import plan_gold

    context = get_current_context()
    refuse_unknown_params(context, _FORM)
    planned = plan_gold(
        connections.lake(),
        Config.load(),
        session_of(context["dag_run"]),
        stage_id=new_stage_id(context["run_id"]),
        # A plan that was cleared runs again because someone wants the session built anew.
        force=context["params"]["force"] or was_cleared(context),
    )
    if planned is None:
        msg = "gold already records exactly these inputs"
        raise AirflowSkipException(msg)
    context["ti"].xcom_push(_PLAN, msgspec.to_builtins(planned))
    return list(planned.underlyings)


@task(pool="consolidate", map_index_template="{{ task.op_kwargs['underlying'] }}")
def build_chain(planned: dict[str, Any], underlying: str) -> int:
    """Compute volatilities and Greeks of one underlying's option prints; return how many rows there are."""
    from bellwether.consolidate.build import build_chain_of

    with _leaving_when_overtaken():
        return build_chain_of(connections.lake(), Config.load(), _decoded(planned), underlying)


# Sessions without options have no chain to build; those whose plan was skipped have nothing.
@task(pool="consolidate", trigger_rule="none_failed_min_one_success")
def build_minutes(planned: dict[str, Any]) -> int:
    """Compute what stands beside every minute; return how many rows there are."""
    from bellwether.consolidate.build import build_minutes_of

    with _leaving_when_overtaken():
        return build_minutes_of(connections.lake(), Config.load(), _decoded(planned))


@task(pool="publish_gold", outlets=[MINUTES, CHAIN])
def publish(planned: dict[str, Any]) -> dict[str, Any]:
    """Swap the session's gold in, if it is made of what is published now; skip when the same is in force already."""
    from bellwether.consolidate.build import publish_session

    context, decoded = get_current_context(), _decoded(planned)
    with _leaving_when_overtaken():
        published = publish_session(connections.lake(), Config.load(), decoded, run_id=context["run_id"])
    # Two that publish the same in turns may each have put one of the datasets in force: the last of them counts.
    last = max(published.values(), key=lambda each: each.manifest.published_utc)
    # A try that died after the swap finds its own publication in force: it must succeed, or its event is lost.
    died_after_swap = last.manifest.stage_id == decoded.stage_id and not is_first_try_after_clear(context)
    if not last.changed and not died_after_swap:
        msg = f"gold already records exactly these inputs, by {last.manifest.run_id}"
        raise AirflowSkipException(msg)
    return {dataset: each.manifest.rows for dataset, each in published.items()}


@contextmanager
def _leaving_when_overtaken() -> Iterator[None]:
    try:
        yield
    except InputsChanged as error:
        msg = f"{error}; the newer input announces the session again"
        raise AirflowSkipException(msg) from error


def _decoded(planned: dict[str, Any]) -> "GoldPlan":
    import msgspec

    from bellwether.consolidate.handover import GoldPlan

    return msgspec.convert(planned, GoldPlan)
