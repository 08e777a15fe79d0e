"""The steps of consolidation, which a DAG's tasks or the command line call one after the other.

    plan_gold -> build_chain_of (each underlying) -> build_minutes_of -> publish_session

All of them read the partitions that the plan names, in the revisions it names: what is published anew meanwhile ends
them with `InputsChanged`, and its own announcement starts the next. They hand over through the stage in the lake.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import NEW_YORK
from bellwether.config import Config
from bellwether.consolidate.chain import build_chain, underlyings_of
from bellwether.consolidate.grid import session_grid
from bellwether.consolidate.handover import (
    GoldPlan,
    chain_of,
    chain_stage,
    minutes_stage,
    nothing_staged,
    published_again,
    remove_stages,
)
from bellwether.consolidate.inputs import RECORDER, published_inputs, streamed_tickers
from bellwether.consolidate.judge import judge
from bellwether.consolidate.minutes import MinuteInputs, build_minutes
from bellwether.consolidate.pinned import Pinned
from bellwether.consolidate.streamed import may_replace, until_of
from bellwether.consolidate.terms import terms_of
from bellwether.errors import ConfigError, InputsChanged, InputsMissing
from bellwether.faultpoints import reach
from bellwether.lake import Coverage, Lake, TickerCoverage
from bellwether.lake.adjust import adjust_for_splits
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import Publication
from bellwether.lake.stage import BatchRecord, remove_old_stages
from bellwether.logging import get_logger
from bellwether.options.hours import priced_by
from bellwether.schemas import EQUITIES
from bellwether.streaming.live import live
from bellwether.tickers import WHOLE
from bellwether.universe.spec import shown

log = get_logger(__name__)


def plan_gold(
    lake: Lake,
    config: Config,
    session: date,
    *,
    stage_id: str,
    force: bool = False,
    only: Sequence[str] = (),
    streamed: Mapping[str, datetime] | None = None,
) -> GoldPlan | None:
    """Decide what to build: None where gold records exactly what is published now.

    Parameters
    ----------
    stage_id
        The stage of this consolidation.
    force
        Build all the same: other settings, or another Bellwether, may give other rows.
    only
        Build the chains of these underlyings all the same, and of the others what gold of these inputs lacks.
    streamed
        Of each dataset that was streamed, until when its minutes are heard: provisional gold is built of them as long
        as a required input lacks. By default only final gold is.

    Raises
    ------
    InputsMissing
        A required input does not stand; names it, its state and what to do. Or no minute of the session is over.
    ConfigError
        One of `only` has no options on the session.
    """
    for dataset in ("chain", "minutes"):
        remove_old_stages(lake, dataset, session, timedelta(days=config.settings.lake.stage_keep_days))
    inputs = published_inputs(lake, config, session, streamed)
    until = until_of(inputs.revisions)
    if inputs.lacking and (until is None or not {"equities", live("equities")} & inputs.revisions.keys()):
        lacking = "; ".join(each.words for each in inputs.lacking)
        unheard = "" if streamed is None else "; nothing was streamed that could stand in for it"
        msg = f"{session} cannot be consolidated. {lacking}{unheard}"
        raise InputsMissing(msg)
    if until is not None and not len(session_grid(session, extended=_is_extended(config), until=until)):
        heard = f"{until.astimezone(NEW_YORK):%H:%M} New York"
        msg = f"{session}: no minute of it is over; its streams are heard until {heard}"
        raise InputsMissing(msg)
    gold = lake.manifest(RECORDER, session)
    if gold is not None and gold.inputs == inputs.revisions and not force and not only:
        return None
    read = Pinned(lake, session, inputs.revisions)
    prints = read.table("options", columns=["ticker"])
    names = sorted(underlyings_of(prints["ticker"], read.table("contracts")).unique().to_pylist())
    if unknown := sorted(set(only) - set(names)):
        msg = (
            f"no options of {shown(unknown)} are published of {session}; there are those of {shown(names) or 'nobody'}"
        )
        raise ConfigError(msg)
    chain = lake.manifest("chain", session) if only else None
    standing = chain.coverage.keys() if chain and chain.inputs == inputs.revisions else ()
    kept = tuple(name for name in names if name in standing and name not in only)
    reach("consolidate.planned", session)
    return GoldPlan(session, stage_id, inputs.revisions, tuple(name for name in names if name not in kept), kept)


def build_chain_of(lake: Lake, config: Config, plan: GoldPlan, underlying: str) -> int:
    """Build and stage the chain of one underlying; return how many rows it has."""
    began = time.monotonic()
    chain = solve_chain(Pinned(lake, plan.session, plan.inputs), config, underlying)
    counts = TickerCoverage(
        Coverage.COMPLETE if len(chain) else Coverage.EMPTY, rows=len(chain), stage_id=plan.stage_id
    )
    record = BatchRecord(coverage={underlying: counts}, api_calls=0, seconds=time.monotonic() - began, raw={})
    chain_stage(lake, plan).write_batch(plan.underlyings.index(underlying), chain, record)
    reach("consolidate.chain_staged", plan.session)
    return len(chain)


def consolidate(lake: Lake, config: Config, plan: GoldPlan, *, run_id: str) -> dict[str, Publication]:
    """Take all steps of a plan in this process; nothing stays staged, whatever happens.

    Raises
    ------
    QualityError, InputsChanged, LakeError
        As of `publish_session`.
    """
    try:
        for underlying in plan.underlyings:
            build_chain_of(lake, config, plan, underlying)
        build_minutes_of(lake, config, plan)
        return publish_session(lake, config, plan, run_id=run_id)
    finally:
        remove_stages(lake, plan)


def solve_chain(read: Pinned, config: Config, underlying: str) -> pa.Table:
    """Return the chain of one underlying, from the inputs that are read."""
    contracts, prints = read.table("contracts"), read.table("options")
    return build_chain(
        underlying,
        prints.filter(pc.equal(underlyings_of(prints["ticker"], contracts), underlying)),
        contracts,
        _prices(read, underlying),
        # Some options trade after the close, and late reports come after it.
        session_grid(read.session, extended=True, until=read.until),
        terms_of(read, config, underlying),
        spot_max_age=timedelta(seconds=config.settings.consolidation.align.spot_max_age_s),
    )


def build_minutes_of(lake: Lake, config: Config, plan: GoldPlan) -> int:
    """Build and stage the minutes of the session, with what the staged chains say; return how many rows there are."""
    began = time.monotonic()
    settings = config.settings.consolidation
    read = Pinned(lake, plan.session, plan.inputs)
    # One that is proven to have had no trade has its minutes, too: they say so.
    told = read.told("equities")
    tickers = sorted(streamed_tickers(lake, config, plan.session, told) if live("equities") in plan.inputs else told)
    chain, _ = chain_of(lake, config, plan)
    names = chain["underlying"].unique().to_pylist()
    table = build_minutes(
        plan.session,
        MinuteInputs(
            tickers=tickers,
            bars=read.table("equities"),
            warmup=_warmup(read, tickers),
            vix=read.table("indices", tickers=[settings.vix]),
            news=read.table("news") if WHOLE in read.told("news") else None,
            chains={name: chain.filter(pc.equal(chain["underlying"], name)) for name in names},
            until=read.until,
        ),
        settings,
    )
    minutes = len(table) // max(len(tickers), 1)
    gaps = read.gaps("equities")
    states = {ticker: Coverage.PARTIAL if ticker in gaps else Coverage.COMPLETE for ticker in tickers}
    coverage = {
        ticker: TickerCoverage(state, rows=minutes, stage_id=plan.stage_id, reason=gaps.get(ticker, ""))
        for ticker, state in states.items()
    }
    record = BatchRecord(coverage=coverage, api_calls=0, seconds=time.monotonic() - began, raw={})
    minutes_stage(lake, plan).write_batch(0, table, record)
    reach("consolidate.minutes_staged", plan.session)
    return len(table)


def publish_session(lake: Lake, config: Config, plan: GoldPlan, *, run_id: str) -> dict[str, Publication]:
    """Judge what is staged, then publish it, the chain first: the minutes' manifest says that both are of these inputs.

    What was staged is deleted when that has come to an end: published, there already, or overtaken.

    Returns
    -------
    dict of str to Publication
        By dataset. Unchanged where the same was published before, by an earlier try or by somebody else.

    Raises
    ------
    QualityError
        What was built breaks a rule; nothing was published.
    InputsChanged
        An input was published anew meanwhile.
    LakeError
        Something is not staged, or the storage refused.
    """
    staged = minutes_stage(lake, plan).read_batch(0)
    if staged is None:
        return _published_before(lake, config, plan)
    ready = {"chain": chain_of(lake, config, plan), RECORDER: staged}
    published = {}
    try:
        found = {dataset: judge(lake, config, plan.inputs, plan.session, dataset, *ready[dataset]) for dataset in ready}
        for dataset, (table, record) in ready.items():
            submission = GoldSubmission(
                dataset=dataset,
                session=plan.session,
                table=table,
                coverage=record.coverage,
                inputs=plan.inputs,
                warnings=found[dataset].warnings,
                stage_id=plan.stage_id,
                run_id=run_id,
                config_hash=config.hash,
                timings_s={"build_s": round(record.seconds, 3), "validate_s": round(found[dataset].seconds, 3)},
            )
            published[dataset] = publish_gold(
                lake,
                submission,
                FileLayout(config.sinks.of(dataset), config.settings.lake.compression),
                lambda: published_again(lake, config, plan),
                may_replace=partial(may_replace, plan.inputs),
            )
            reach(f"consolidate.{dataset}_published", plan.session)
    except InputsChanged:
        remove_stages(lake, plan)
        raise
    remove_stages(lake, plan)
    reach("consolidate.cleaned", plan.session)
    return published


def _published_before(lake: Lake, config: Config, plan: GoldPlan) -> dict[str, Publication]:
    """Return what this consolidation has published, if its stage is gone because of that."""
    found = {dataset: lake.manifest(dataset, plan.session) for dataset in ("chain", RECORDER)}
    gold = found[RECORDER]
    if gold is not None and gold.stage_id == plan.stage_id:
        return {dataset: Publication(each, changed=False, refused={}) for dataset, each in found.items() if each}
    raise nothing_staged(lake, config, plan, f"minutes of {plan.session} are not staged; clear the whole run")


def _is_extended(config: Config) -> bool:
    return config.settings.consolidation.extended_hours


def _prices(read: Pinned, underlying: str) -> pa.Table:
    ticker = priced_by(underlying)
    if ticker == underlying:
        return read.table("equities", tickers=[ticker], columns=["ts", "close"])
    return read.table("indices", tickers=[ticker], columns=["ts", "close", "is_stale"])


def _warmup(read: Pinned, tickers: Sequence[str]) -> pa.Table:
    """Return the bars of the sessions before in the shares of this one, of the tickers whose splits are known."""
    settled = read.told("splits")
    sure = [ticker for ticker in tickers if ticker in settled]
    if missing := len(tickers) - len(sure):
        log.warning("no warm-up without splits", session=read.session.isoformat(), tickers=missing)
    before = [read.table("equities", session, tickers=sure) for session in read.sessions_before("equities")]
    return adjust_for_splits(
        pa.concat_tables([EQUITIES.empty_table(), *before]), read.table("splits", tickers=sure), read.session
    )
