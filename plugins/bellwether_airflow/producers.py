"""The daily producers: one table row per source, the graph written once.

    plan -> ingest (mapped over batches) -> validate -> publish -> inputs_ready -> announce
    ingest, publish -> report, which fails the run when a ticker failed

A DAG of several datasets has this graph once for each, in a group of its name: `splits.plan`, `splits.ingest`, ...

Tasks hand over through the stage in the lake; XCom carries batches and counts only. Everything heavy is
imported inside the tasks.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import (
    DAG,
    Asset,
    Param,
    TaskGroup,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from bellwether.config import Config
from bellwether.due import DUE
from bellwether.logging import get_logger
from bellwether.producers import DATASETS_OF
from bellwether.tickers import INDEX_PATTERN, OPTION_PATTERN, TICKER_PATTERN
from bellwether.universe.spec import shown
from bellwether_airflow import connections
from bellwether_airflow.announcing import announce
from bellwether_airflow.assets import (
    CONTRACTS,
    DAILY_BARS,
    DIVIDENDS,
    EQUITIES,
    INDICES,
    NEWS,
    OPTIONS,
    OPTIONS_SNAPSHOT,
    RATES,
    SPLITS,
    TICKERS,
)
from bellwether_airflow.notifiers.alert import FAILURES_KEY, Alert
from bellwether_airflow.runs import (
    TASK_DEFAULTS,
    emit,
    is_first_try_after_clear,
    new_stage_id,
    refuse_unknown_params,
    session_of,
    was_cleared,
)
from bellwether_airflow.timetables import SessionTimetable
from bellwether_airflow.waiting import waiting_task

if TYPE_CHECKING:
    from bellwether.ingest.plan import Batch
    from bellwether.lake import Lake

log = get_logger(__name__)

# Polygon's minute bars begin here; nothing earlier can be fetched.
_HISTORY_BEGINS = pendulum.datetime(2003, 9, 10, tz="America/New_York")


@dataclass(frozen=True)
class Producer:
    """One source, as a row of the table below.

    Attributes
    ----------
    dataset
        What it publishes; also names its pool `publish_<dataset>`, its DAG in `bellwether.producers` and its row in
        `bellwether.due`.
    asset
        Emitted when a partition changed.
    subject
        Pattern of what the form takes as tickers; None where no ticker can be asked for alone.
    examples
        Of them, for the form.
    requests_pool
        Of the tasks that call the vendor.
    is_crosschecked
        Whether its report compares minutes with day bars; whichever of the two comes last has both.
    """

    dataset: str
    asset: Asset
    subject: str | None = TICKER_PATTERN
    examples: str = "SPY or BRK.A"
    requests_pool: str = "vendor_requests"
    is_crosschecked: bool = False


PRODUCERS = {
    row.dataset: row
    for row in (
        Producer("equities", EQUITIES, is_crosschecked=True),
        Producer("daily_bars", DAILY_BARS, subject=None, is_crosschecked=True),
        Producer("contracts", CONTRACTS, examples="AAPL or SPX"),
        Producer("options", OPTIONS, OPTION_PATTERN, "O:SPY240119C00470000"),
        # Its moment passes: no backfill may hold the slots it needs.
        Producer("options_snapshot", OPTIONS_SNAPSHOT, examples="SPY", requests_pool="snapshot_requests"),
        Producer("indices", INDICES, INDEX_PATTERN, "I:VIX"),
        Producer("news", NEWS, subject=None),
        Producer("splits", SPLITS),
        Producer("dividends", DIVIDENDS),
        Producer("rates", RATES, subject=None),
        Producer("tickers", TICKERS),
    )
}


def _form(rows: Sequence[Producer]) -> dict[str, Param]:
    force = Param(
        default=False,
        type="boolean",
        title="Fetch again",
        description="Fetch what is complete once more. Clearing a run does so by itself.",
    )
    asked_for = next((row for row in rows if row.subject), None)
    if asked_for is None:
        return {"force": force}
    tickers = Param(
        [],
        type="array",
        items={"type": "string", "pattern": asked_for.subject},
        uniqueItems=True,
        title="Tickers",
        description=f"Fetch only these, one per line, like {asked_for.examples}; their rows replace those published. "
        "Empty: every ticker of the universe that the ledger does not call complete.",
    )
    return {"tickers": tickers, "force": force}


def daily_producer(dag_id: str, doc_md: str) -> DAG:
    """Return the daily DAG of one source, or of several that are due together.

    Parameters
    ----------
    dag_id
        A key of `bellwether.producers.DATASETS_OF`.
    doc_md
        The operator's page.
    """
    rows = [PRODUCERS[dataset] for dataset in DATASETS_OF[dag_id]]
    what = rows[0].dataset if len(rows) == 1 else dag_id.removesuffix("_daily")
    with DAG(
        dag_id=dag_id,
        schedule=SessionTimetable(DUE[rows[0].dataset]),
        start_date=_HISTORY_BEGINS,
        catchup=False,
        max_active_runs=3,
        params=_form(rows),
        tags=["bellwether", "producer", *(row.dataset for row in rows)],
        doc_md=doc_md,
        on_failure_callback=Alert(what),
        default_args=TASK_DEFAULTS,
    ) as dag:
        for row in rows:
            with TaskGroup(row.dataset) if len(rows) > 1 else nullcontext():
                _graph(row)
    return dag


def _graph(row: Producer) -> None:
    batches: Any = plan(dataset=row.dataset)
    fetched = ingest.override(pool=row.requests_pool).expand(batch=batches)
    validated: Any = validate(batches)
    published = publish.override(outlets=[row.asset], pool=f"publish_{row.dataset}")(row.dataset, validated)
    fetched >> validated
    ready: Any = inputs_ready(row.dataset)
    published >> ready
    announce(ready)
    [fetched, published] >> report(batches)


@waiting_task()
def plan(dataset: str) -> list[dict[str, Any]]:
    """Decide which tickers to fetch, in which batches."""
    import msgspec

    from bellwether.ingest.discovery import discover_and_plan

    context = get_current_context()
    params = context["params"]
    refuse_unknown_params(context, _form([PRODUCERS[each] for each in DATASETS_OF[context["dag"].dag_id]]))
    run_id = context["run_id"]
    batches = discover_and_plan(
        connections.lake(),
        Config.load(),
        connections.vendor(),
        dataset,
        session_of(context["dag_run"]),
        stage_id=new_stage_id(run_id),
        run_id=run_id,
        tickers=_tickers_asked_for(dataset),
        # A plan that was cleared runs again because someone wants the session fetched anew.
        force=params["force"] or was_cleared(context),
    )
    # The name is what people see of a mapped task, from its start on and also when it is killed.
    return [{**msgspec.to_builtins(batch), "name": batch.name} for batch in batches]


@waiting_task(map_index_template="{{ task.op_kwargs['batch']['name'] }}")
def ingest(batch: dict[str, Any]) -> dict[str, Any]:
    """Fetch one batch, keep the raw responses, pass the gate, stage."""
    import msgspec

    from bellwether.ingest.fetch import fetch_batch

    [asked] = _batches([batch])
    summary = fetch_batch(connections.lake(), connections.vendor(), Config.load(), asked)
    return dict(msgspec.to_builtins(summary))


@task(trigger_rule="all_done")
def validate(batches: list[dict[str, Any]] | None) -> str:
    """Run the quality suite once over the session's stage; return the stage's id."""
    from bellwether.ingest.finish import validate_stage

    if not batches:
        msg = "nothing was fetched: every ticker asked for is proven already, or the plan failed"
        raise AirflowSkipException(msg)
    validate_stage(connections.lake(), Config.load(), _batches(batches))
    return str(batches[0]["stage_id"])


@task
def publish(dataset: str, stage_id: str) -> dict[str, Any]:
    """Swap the validated rows in; skip when nothing differs from what is published."""
    from bellwether.ingest.finish import publish_stage

    context = get_current_context()
    session = session_of(context["dag_run"])
    # Who asks for single tickers once more wants just these answers, whatever they say and however late they are.
    is_deliberate = bool(_tickers_asked_for(dataset)) and context["params"]["force"]
    publication = publish_stage(
        connections.lake(),
        Config.load(),
        dataset,
        session,
        stage_id=stage_id,
        run_id=context["run_id"],
        accept_loss=is_deliberate,
        accept_late=is_deliberate,
    )
    manifest = publication.manifest
    context["ti"].xcom_push("refused", publication.refused)
    # A try that died after the swap finds its own publication in force: it must succeed, or its event is lost.
    died_after_swap = manifest.stage_id == stage_id and not is_first_try_after_clear(context)
    if not publication.changed and not died_after_swap:
        msg = f"nothing changed: revision {manifest.revision[:12]} stands"
        raise AirflowSkipException(msg)
    emit(PRODUCERS[dataset].asset, context)
    return {"revision": manifest.revision, "rows": manifest.rows, "quarantined": manifest.quarantined_rows}


@task.short_circuit(trigger_rule="none_failed")
def inputs_ready(dataset: str) -> list[str]:
    """Go on only if all required inputs stand and gold does not record them yet; return of which sessions.

    Those are the run's own, and the later ones whose gold begins with it.
    """
    from bellwether.consolidate.readiness import in_reach, readiness

    context = get_current_context()
    lake, config = connections.lake(), Config.load()
    reach = in_reach(config, dataset, session_of(context["dag_run"]))
    decisions = [readiness(lake, config, session) for session in reach]
    why = {decision.session.isoformat(): decision.why for decision in decisions}
    log.info("inputs compared with gold", **why)
    context["ti"].xcom_push("why", why)
    return [decision.session.isoformat() for decision in decisions if decision.announce]


@task(trigger_rule="all_done", retries=0)
def report(batches: list[dict[str, Any]] | None) -> None:
    """Fail the run when a required ticker could not be fetched or was refused; warn of best-effort ones.

    What was valid is published all the same. Where minutes and day bars are both published, what is unusual between
    them is warned of and counted; nothing fails by it.
    """
    import msgspec

    from bellwether.ingest.finish import failed_tickers, forgivable
    from bellwether.monitoring.alerts import group

    if batches is None:
        msg = "the plan failed; its log says why"
        raise AirflowFailException(msg)
    if not batches:
        return
    ti = get_current_context()["ti"]
    beside = ti.task_id.removesuffix("report")  # the group, where there is one
    refused = ti.xcom_pull(task_ids=f"{beside}publish", key="refused") or {}
    lake, planned = connections.lake(), _batches(batches)
    failed = failed_tickers(lake, planned)
    for ticker in sorted(forgivable(lake, planned[0].dataset, planned[0].session, failed | refused)):
        reason = refused.pop(ticker, None) or failed[ticker]
        failed.pop(ticker, None)
        log.warning("best-effort ticker failed", ticker=ticker, reason=reason)
    ti.xcom_push(FAILURES_KEY, msgspec.to_builtins(group(failed, refused, sum(len(b.tickers) for b in planned))))
    _warn_of_undiscovered(planned[0])
    if PRODUCERS[planned[0].dataset].is_crosschecked:
        ti.xcom_push("crosscheck", _crosscheck(lake, planned[0].session))
    if failed or refused:
        reasons = "; ".join(f"{ticker}: {reason}" for ticker, reason in sorted((failed | refused).items()))
        msg = (
            f"{len(failed | refused)} tickers failed; clear their batch with everything downstream to fetch them "
            f"again. {reasons}"
        )
        raise AirflowFailException(msg)


def _warn_of_undiscovered(plan: "Batch") -> None:
    from bellwether.ingest.discovery import undiscovered
    from bellwether.ingest.universe import DISCOVERED_IN

    if plan.dataset in DISCOVERED_IN and (missing := undiscovered(connections.lake(), Config.load(), plan.session)):
        log.warning("seen, but not discovered: run `bellwether discover` with --underlying", contracts=shown(missing))


def _crosscheck(lake: "Lake", session: date) -> dict[str, Any]:
    """Return how minutes and day bars compare, in counts, or why they do not."""
    from bellwether.ingest.crosscheck import crosscheck_session, why_incomparable

    if why := why_incomparable(lake, session):
        log.info(why)
        return {"compared": 0, "why": why}
    check = crosscheck_session(lake, session)
    counted = {warning: len(tickers) for warning, tickers in check.tickers_by_warning.items()}
    log.info("minutes and day bars compared", tickers=check.tickers, warnings=counted)
    for warning, tickers in check.tickers_by_warning.items():
        log.warning("minutes and day bars differ", warning=warning, tickers=shown(tickers))
    return {"compared": check.tickers, "warnings": counted}


def _tickers_asked_for(dataset: str) -> list[str]:
    """Return the form's tickers; a dataset that has none to ask for is captured beside them as ever."""
    return list(get_current_context()["params"]["tickers"]) if PRODUCERS[dataset].subject else []


def _batches(batches: Sequence[dict[str, Any]]) -> "list[Batch]":
    import msgspec

    from bellwether.ingest.plan import Batch

    return msgspec.convert(batches, list[Batch])
