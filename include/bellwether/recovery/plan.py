"""From the ledger to what is to be done: which session of which DAG is to run again, at what cost, and what follows.

`choose` and `rebuilt` are functions of what was read alone; `make_plan` reads for them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate.inputs import READ
from bellwether.consolidate.readiness import in_reach
from bellwether.due import why_missed
from bellwether.errors import ConfigError
from bellwether.ingest.universe import DISCOVERED_IN
from bellwether.lake import Lake
from bellwether.producers import DAG_OF, DATASETS_OF
from bellwether.recovery.ledger import Gold, Known, Pace, read_all, read_gold, read_known, read_pace
from bellwether.recovery.reasons import why_wanted
from bellwether.recovery.request import Mode, Request
from bellwether.schemas import FORMS


@dataclass(frozen=True)
class Facts:
    """What the ledger says, as far as a request reaches.

    Attributes
    ----------
    sessions
        Those asked for that are due, by dataset.
    known
        Of every dataset of a DAG concerned, by dataset and session.
    paces
        By dataset.
    gold
        By session; read for `revised` alone.
    now
        The instant.
    """

    sessions: Mapping[str, Sequence[date]]
    known: Mapping[tuple[str, date], Known]
    paces: Mapping[str, Pace]
    gold: Mapping[date, Gold]
    now: datetime


@dataclass(frozen=True)
class Step:
    """One session of one DAG to run again.

    Attributes
    ----------
    dag_id, session
        Which.
    why
        The reason, for people.
    tickers
        Fetched whatever the ledger says of them; none: what is not proven.
    force
        Whether everything is fetched again.
    calls
        API calls it takes, an estimate; None where nobody can tell.
    """

    dag_id: str
    session: date
    why: str
    tickers: tuple[str, ...] = ()
    force: bool = False
    calls: int | None = 0


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes
    ----------
    request
        What was asked for.
    steps
        In their order.
    beyond
        Those that do not fit into the budget.
    lost
        Why sessions cannot be had any more, by dataset and session.
    unready
        Which required inputs lack, of sessions that would have to be built again.
    rebuilt
        Sessions whose gold will be built again, if what is fetched differs.
    """

    request: Request
    steps: tuple[Step, ...]
    beyond: tuple[Step, ...] = ()
    lost: Mapping[tuple[str, date], str] = field(default_factory=dict)
    unready: Mapping[date, frozenset[str]] = field(default_factory=dict)
    rebuilt: tuple[date, ...] = ()

    @property
    def calls(self) -> int:
        """API calls of all steps, as far as they are known."""
        return sum(step.calls or 0 for step in self.steps)


def make_plan(lake: Lake, config: Config, request: Request) -> Plan:
    """Read the ledger and decide what is to be done; nothing is changed and nobody is asked.

    Raises
    ------
    ConfigError
        No dataset is named, or the range ends before it begins.
    NotASession
        No session of a dataset is due in the range.
    LakeError
        A partition is damaged.
    """
    now = lake.clock.now()
    if not request.datasets:
        msg = "no dataset is named: give at least one"
        raise ConfigError(msg)
    sessions = {dataset: request.sessions(dataset, now) for dataset in request.datasets}
    concerned = {
        (each, session)
        for dataset, asked in sessions.items()
        for each in (*DATASETS_OF[DAG_OF[dataset]], *_origins(dataset))
        for session in asked
    }
    days = {session for asked in sessions.values() for session in asked} if request.mode is Mode.REVISED else ()
    facts = Facts(
        sessions=sessions,
        known=read_all(lambda each: read_known(lake, config, *each), concerned),
        paces={dataset: read_pace(lake, dataset) for dataset in sorted({dataset for dataset, _ in concerned})},
        gold=read_all(lambda session: read_gold(lake, config, session), days),
        now=now,
    )
    plan = choose(request, facts)
    reached = read_all(lambda session: read_gold(lake, config, session), _reached(config, plan))
    return replace(plan, rebuilt=rebuilt(plan, reached))


def choose(request: Request, facts: Facts) -> Plan:
    """Decide which sessions run again, in which order, and which of them the budget has room for."""
    lost: dict[tuple[str, date], str] = {}
    reasons: dict[tuple[date, str], dict[str, str]] = {}
    for dataset, session in _asked(request, facts):
        why = why_wanted(request.mode, dataset, facts.known[dataset, session], facts.gold.get(session))
        if why is None:
            continue
        if missed := _why_lost(request.mode, dataset, session, facts):
            lost[dataset, session] = missed
            continue
        reasons.setdefault((session, DAG_OF[dataset]), {})[dataset] = why
    if request.mode is Mode.REVISED:
        reasons = _one_of_each_session(reasons)
    steps = [_step(request.mode, dag_id, session, whys, facts) for (session, dag_id), whys in reasons.items()]
    order = list(DATASETS_OF)
    steps.sort(key=lambda step: order.index(step.dag_id))
    steps.sort(key=lambda step: step.session, reverse=request.newest_first)
    steps = _with_discovery(steps, facts)
    fitting = _fitting(steps, request.budget)
    unready = {session: gold.lacking for session, gold in sorted(facts.gold.items()) if gold.lacking and gold.changed}
    return Plan(request, tuple(steps[:fitting]), tuple(steps[fitting:]), lost, unready)


def is_settled(lake: Lake, config: Config, request: Request, dag_id: str, session: date) -> bool:
    """Return whether the ledger says by now that nothing is left to recover of a session of a DAG."""
    if request.mode in (Mode.FORCE, Mode.QUARANTINED):
        return False
    gold = read_gold(lake, config, session) if request.mode is Mode.REVISED else None
    return all(
        why_wanted(request.mode, dataset, read_known(lake, config, dataset, session), gold) is None
        for dataset in DATASETS_OF[dag_id]
        if dataset in request.datasets
    )


def rebuilt(plan: Plan, gold: Mapping[date, Gold]) -> tuple[date, ...]:
    """Return the sessions whose gold the steps bring about: it is there already, or its inputs stand by then."""
    brought: dict[date, set[str]] = {}
    for step in plan.steps:
        brought.setdefault(step.session, set()).update(DATASETS_OF[step.dag_id])
    return tuple(
        session
        for session, known in sorted(gold.items())
        if known.lacking <= brought.get(session, set()) and (known.exists or session in brought)
    )


def _asked(request: Request, facts: Facts) -> Iterator[tuple[str, date]]:
    for dataset in sorted(request.datasets, key=list(DAG_OF).index):
        for session in facts.sessions[dataset]:
            yield dataset, session


def _why_lost(mode: Mode, dataset: str, session: date, facts: Facts) -> str | None:
    needs_nothing = mode is Mode.REVISED and not facts.known[dataset, session].unproven
    return None if needs_nothing else why_missed(dataset, get_calendar().hours(session), facts.now)


def _one_of_each_session(reasons: Mapping[tuple[date, str], dict[str, str]]) -> dict[tuple[date, str], dict[str, str]]:
    """Return one DAG for each session: any producer announces it."""
    first: dict[date, str] = {}
    for session, dag_id in reasons:
        first.setdefault(session, dag_id)
    return {(session, dag_id): reasons[session, dag_id] for session, dag_id in first.items()}


def _step(mode: Mode, dag_id: str, session: date, whys: Mapping[str, str], facts: Facts) -> Step:
    datasets = DATASETS_OF[dag_id]
    named: tuple[str, ...] = ()
    if mode is Mode.QUARANTINED and len(datasets) == 1 and FORMS[datasets[0]].subject:
        named = facts.known[datasets[0], session].quarantined
    force = mode is Mode.FORCE or (mode is Mode.QUARANTINED and not named)
    calls = [_calls(dataset, session, facts, len(named), force=force) for dataset in datasets]
    why = "; ".join(f"{dataset}: {why}" if len(datasets) > 1 else why for dataset, why in whys.items())
    return Step(dag_id, session, why, named, force, _sum(calls))


def _calls(dataset: str, session: date, facts: Facts, named: int, *, force: bool) -> int | None:
    known, pace = facts.known[dataset, session], facts.paces[dataset]
    known_count = len(known.universe or () if force else known.unproven)
    count = pace.tickers if known.universe is None else named or known_count
    return None if count is None else math.ceil(count * pace.calls_per_ticker)


def _sum(calls: Sequence[int | None]) -> int | None:
    return None if None in calls else sum(each or 0 for each in calls)


def _origins(dataset: str) -> tuple[str, ...]:
    return (DISCOVERED_IN[dataset],) if dataset in DISCOVERED_IN else ()


def _with_discovery(steps: Sequence[Step], facts: Facts) -> list[Step]:
    """Add to sessions whose tickers are not discovered yet the calls that this takes, unless a step before does it."""
    planned = {(step.dag_id, step.session) for step in steps}
    counted = []
    for step in steps:
        more: list[int | None] = [
            _calls(origin, step.session, facts, 0, force=False)
            for dataset in DATASETS_OF[step.dag_id]
            for origin in _origins(dataset)
            if (DAG_OF[origin], step.session) not in planned
        ]
        counted.append(replace(step, calls=_sum([step.calls, *more])))
    return counted


def _fitting(steps: Sequence[Step], budget: int | None) -> int:
    """Return how many steps fit: from the first on, without a gap, so that the order is kept."""
    if budget is None:
        return len(steps)
    left = budget
    for number, step in enumerate(steps):
        if step.calls is None or step.calls > left:
            return number
        left -= step.calls
    return len(steps)


def _reached(config: Config, plan: Plan) -> set[date]:
    reached: set[date] = set()
    for step in plan.steps:
        for dataset in set(DATASETS_OF[step.dag_id]) & set(READ):
            is_fetched = plan.request.mode is not Mode.REVISED
            reached.update(in_reach(config, dataset, step.session) if is_fetched else [step.session])
    return reached
