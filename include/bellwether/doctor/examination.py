"""One examination from first to last: which checks there are, in which order, and what each needs of those before.

It yields findings as they come, since the vendor's may take minutes under a rate limit. It judges nothing itself.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

from bellwether.airflow_api import AirflowApi, ApiError
from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.clock import Clock, SystemClock
from bellwether.config import Config
from bellwether.doctor import airflow, cost, entitlement, lake, ledger, plan, schedule, settings, vendor
from bellwether.doctor.entitlement import Result, Subject, Verdict
from bellwether.doctor.finding import Finding, ok, problem, unknown
from bellwether.due import DUE
from bellwether.errors import LakeError
from bellwether.ingest.universe import named_universe
from bellwether.lake import Lake, Universe
from bellwether.lake.coverage import stored_universe
from bellwether.lake.location import Location
from bellwether.localstack.environment import project_root
from bellwether.producers import DATASETS_OF
from bellwether.sources.rest import PolygonRest
from bellwether.sources.rows import MarketStatus

DATASET = "equities"
"""The dataset whose capture is examined beforehand: its plan, its cost."""

MOST_CALLS = 1 + len(entitlement.PROBES) + 1 + plan.MOST_HISTORY_CALLS
"""API calls of one examination: the market's status, a probe per dataset, the session under way, the history."""

_USUAL_TICKER = "SPY"  # on the exchange since 1993, in every plan, an option for every day
_DEFAULT_YEARS = 2


@dataclass(frozen=True)
class Access:
    """How the vendor is reached; what `bellwether.cli.options.VendorAccess` says, and how to connect."""

    url: str
    simulated: bool
    requests_per_minute: int | None
    connect: Callable[[int | None], PolygonRest]


@dataclass
class Examination:
    """What is examined, and what the checks so far have found out for those that follow.

    Attributes
    ----------
    config
        The configuration, already read and found to be well-formed.
    access
        The vendor, or the reason why there is no access.
    location
        The lake.
    api
        Airflow, or the reason why there is none.
    start, end
        The range of the first backfill and of the ledger's sessions; None leaves them to the doctor.
    clock
        This machine's.
    """

    config: Config
    access: Access | str
    location: Location
    api: AirflowApi | str
    start: date | None = None
    end: date | None = None
    clock: Clock = field(default_factory=SystemClock)
    _lake: lake.LakeFacts = field(default_factory=lake.LakeFacts, init=False)
    _depth: plan.Depth | None = field(default=None, init=False)
    _limit: int | None = field(default=None, init=False)
    _call_s: list[float] = field(default_factory=list, init=False)

    def findings(self) -> Iterator[Finding]:
        """Yield every finding."""
        yield from self._configuration()
        yield from self._lake_findings()
        yield from self._vendor_findings()
        yield from self._cost_findings()
        yield from self._airflow_findings()

    # --- configuration and lake

    def _configuration(self) -> Iterator[Finding]:
        named = len(self._named.tickers) if self._named else None
        yield settings.judge_universe(DATASET, self.config.universe(DATASET).origin, named)
        yield settings.judge_contracts(self.config.contracts)
        yield from settings.judge_waivers(self.config.alerts.expired(self.clock.now().date()))

    @property
    def _named(self) -> Universe | None:
        return named_universe(self.config, DATASET)

    def _tickers(self) -> int | None:
        """Return how many tickers a session has: those named, else as many as the last session published had."""
        if self._named is not None:
            return len(self._named.tickers)
        known = self._lake.lake
        sessions = known.sessions(DATASET) if known else []
        stored = stored_universe(known, DATASET, sessions[-1]) if known and sessions else None
        return len(stored.tickers) if stored else None

    def _lake_findings(self) -> Iterator[Finding]:
        simulated = self.access.simulated if isinstance(self.access, Access) else None
        findings, self._lake = lake.examine(self.location, simulated=simulated)
        yield from findings

    # --- vendor

    def _vendor_findings(self) -> Iterator[Finding]:
        if isinstance(self.access, str):
            yield problem("key", self.access, "until then nothing can be captured")
            return
        access = self.access
        self._limit = access.requests_per_minute
        asked = vendor.Vendor(access.connect, access.requests_per_minute)
        greeting = vendor.greet(asked, self.clock)
        yield vendor.judge_key(greeting, access.url)
        if not isinstance(greeting, vendor.Greeting):
            yield unknown("plan", "what it includes, how fresh and how far back it is: the vendor gave no answer")
            return
        yield vendor.judge_clock(greeting, simulated=access.simulated)
        yield from self._plan_findings(asked, access, greeting.status)

    def _plan_findings(self, asked: vendor.Vendor, access: Access, status: MarketStatus) -> Iterator[Finding]:
        now = status.server_time
        subject = Subject(
            self._ticker(access),
            get_calendar().last_due(now, DUE[DATASET]),
            now.astimezone(NEW_YORK).date(),
        )
        results = {}
        for probe in entitlement.PROBES:
            result = results[probe.dataset] = probe.put(asked.ask, subject)
            yield entitlement.judge(probe.dataset, result)
            subject = replace(subject, contract=subject.contract or entitlement.first_contract(result))
        bars = results[DATASET]
        if bars.verdict is not Verdict.INCLUDED:
            yield unknown("history", "bars of the last session did not come, so none older were asked for")
            return
        is_trading = status.market != "closed" and get_calendar().is_session(subject.today)
        fresh = plan.freshness(bars, self._bars(asked, subject.ticker, subject.today) if is_trading else None, now)
        yield plan.judge_freshness(fresh)
        sessions = plan.candidates(subject.today)
        self._depth = plan.measure_depth(lambda day: self._bars(asked, subject.ticker, day), sessions)
        yield plan.judge_depth(self._depth)
        known = plan.rate(access.requests_per_minute, fresh, self._depth, subject.today, was_refused=asked.was_refused)
        self._limit = known.in_force
        yield plan.judge_rate(known, fresh)

    def _ticker(self, access: Access) -> str:
        """Return whom to ask about: a simulated market may lack the usual one."""
        named = self._named.tickers if access.simulated and self._named else (_USUAL_TICKER,)
        return _USUAL_TICKER if _USUAL_TICKER in named else named[0]

    def _bars(self, asked: vendor.Vendor, ticker: str, session: date) -> Result:
        began_s = time.monotonic()
        result = entitlement.result_of(lambda: asked.ask(lambda rest: entitlement.session_bars(rest, ticker, session)))
        self._call_s.append(time.monotonic() - began_s)
        return result

    # --- cost

    def _cost_findings(self) -> Iterator[Finding]:
        calendar = get_calendar()
        today = self.clock.now().astimezone(NEW_YORK).date()
        end = self.end or calendar.last_due(self.clock.now(), DUE[DATASET])
        start = self.start or self._default_start(today)
        try:
            estimate = self._estimate(len(calendar.sessions(start, end)))
        except LakeError as error:
            yield unknown("first backfill", str(error))
            return
        seconds = min(self._call_s) if self._call_s else None
        yield cost.judge(estimate, f"{start} to {end}", self._limit, seconds)
        if estimate:
            yield lake.judge_room(self._lake.free_bytes, estimate.bytes)

    def _estimate(self, sessions: int) -> cost.Cost | None:
        known = self._lake.lake
        measured = lake.bytes_per_ticker_session(known, DATASET) if known else None
        tickers = self._tickers()
        if tickers is None:
            return None
        return cost.Cost(tickers, sessions, measured or cost.DEFAULT_BYTES, is_measured=measured is not None)

    def _default_start(self, today: date) -> date:
        two_years_ago = today - timedelta(days=365 * _DEFAULT_YEARS)
        reaches = self._depth.reaches if self._depth else None
        return max(two_years_ago, reaches) if reaches else two_years_ago

    # --- Airflow and the ledger

    def _airflow_findings(self) -> Iterator[Finding]:
        plans: dict[str, airflow.DagFacts | None] = {}
        try:
            if isinstance(self.api, str):
                yield unknown("airflow", self.api, "start it with `make up`, or name it with --airflow")
            else:
                facts = airflow.look(self.api)
                yield from airflow.judge(facts, expected_pools())
                plans = {dag_id: airflow.schedule_of(self.api, dag_id, facts) for dag_id in DATASETS_OF}
        except ApiError as error:
            yield unknown("airflow", str(error), "check --airflow, AIRFLOW_USER and AIRFLOW_PASSWORD")
        if self._lake.lake is None:
            yield ok("ledger", "nothing is published yet")
            return
        for dag_id in DATASETS_OF:
            yield from self._ledger_findings(self._lake.lake, dag_id, plans.get(dag_id))

    def _ledger_findings(self, known: Lake, dag_id: str, will_do: airflow.DagFacts | None) -> Iterator[Finding]:
        owed = will_do.owed if will_do else set()
        span = ledger.Span(self.start, self.end)
        try:
            account = ledger.read(known, self.config, dag_id, owed, span, self.clock.now())
        except LakeError as error:
            yield problem(f"ledger {dag_id}", str(error), "mend the partition, or move it out of the lake")
            return
        yield from schedule.judge(account, will_do.schedule if will_do else None)


def expected_pools() -> frozenset[str]:
    """Return the names of the pools in `config/pools.json`."""
    path: Path = project_root() / "config" / "pools.json"
    return frozenset(json.loads(path.read_text(encoding="utf-8")))
