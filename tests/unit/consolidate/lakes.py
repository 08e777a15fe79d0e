"""A lake with all of a session's inputs, as small as can be, for the tests of consolidation's steps."""

from collections import Counter
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.config import Config, SinkSettings
from bellwether.consolidate.build import GoldPlan, build_chain_of, build_minutes_of, plan_gold, publish_session
from bellwether.consolidate.grid import session_grid
from bellwether.lake import Coverage, Lake, TickerCoverage
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import Publication, publish
from bellwether.schemas import (
    CONTRACTS,
    DIVIDENDS,
    EQUITIES,
    FORMS,
    INDICES,
    NEWS,
    RATES,
    SPLITS,
    TIMESTAMP,
)
from bellwether.tickers import WHOLE
from tests import recordings
from tests.builders import submission
from tests.unit.consolidate.market import DAY, walk
from tests.unit.consolidate.prints import CALL, PUT

TICKERS = ("AAPL", "SPY")
BEFORE = get_calendar().previous(DAY)


def put(lake: Lake, dataset: str, table: pa.Table, session: date = DAY, **states: Coverage) -> str:
    """Publish a dataset's rows of a session with the coverage of those in it, and of others by name; the revision."""
    subject = FORMS[dataset].subject
    rows = Counter({WHOLE: len(table)} if subject is None else table[subject].to_pylist())
    coverage = {name: TickerCoverage(Coverage.COMPLETE, rows=count) for name, count in rows.items()}
    coverage |= {name: TickerCoverage(state) for name, state in states.items()}
    what = submission(dataset=dataset, session=session, table=table, coverage=coverage, accept_loss=True)
    return publish(lake, what, FileLayout(SinkSettings(), "snappy")).manifest.revision


def equities(session: date = DAY, seed: int = 0, extended: bool = False) -> pa.Table:
    """Return bars of both tickers in every minute, around 200."""
    grid = session_grid(session, extended=extended)
    return walk(grid, TICKERS, seed + session.toordinal(), silent=0.0, price=200.0)


def prints(*tickers: str, minutes: range = range(0, 390, 30), price: float = 8.0) -> pa.Table:
    """Return bars of option contracts."""
    opened = get_calendar().hours(DAY).open
    rows = [
        {"ticker": ticker, "ts": opened + timedelta(minutes=minute), "volume": 1.0}
        | dict.fromkeys(("open", "high", "low", "close"), price)
        for ticker in tickers
        for minute in minutes
    ]
    return pa.Table.from_pylist(rows, EQUITIES)


def contracts() -> pa.Table:
    """Return the contracts of `CALL` and `PUT`."""
    rows = [
        {"ticker": ticker, "underlying": "AAPL", "right": right, "exercise_style": "american", "is_adjusted": False}
        | {"expiration": date(2025, 7, 18), "strike": 200.0, "multiplier": 100.0, "chosen_by": ""}
        for ticker, right in ((CALL, "call"), (PUT, "put"))
    ]
    return pa.Table.from_pylist(rows, CONTRACTS)


def index_bars(ticker: str = "I:VIX", value: float = 17.0, *stale: float) -> pa.Table:
    """Return bars of an index in every regular minute, and stale ones from the close on."""
    hours = get_calendar().hours(DAY)
    rows = [
        {"ticker": ticker, "ts": hours.open + timedelta(minutes=minute), "is_stale": minute >= 390}
        | dict.fromkeys(("open", "high", "low", "close"), price)
        for minute, price in enumerate([value] * 390 + list(stale))
    ]
    return pa.Table.from_pylist(rows, INDICES)


def rates(rate: float = 0.04) -> pa.Table:
    """Return yields of the day before."""
    return pa.Table.from_pylist([{"date": BEFORE, "tenor_months": 3, "rate": rate}], RATES)


def dividend(amount: float, ex: date = date(2025, 5, 12)) -> pa.Table:
    """Return a regular cash dividend of AAPL."""
    row = {"ticker": "AAPL", "ex_dividend_date": ex, "cash_amount": amount, "currency": "USD", "frequency": 4}
    return pa.Table.from_pylist([row | {"dividend_type": "CD", "dividend_id": "D1"}], DIVIDENDS)


def stock(lake: Lake) -> None:
    """Publish every input of `DAY`."""
    put(lake, "equities", equities(BEFORE), BEFORE)
    put(lake, "equities", equities())
    put(lake, "options", prints(CALL, PUT))
    put(lake, "contracts", contracts())
    put(lake, "indices", index_bars())
    put(lake, "news", NEWS.empty_table())
    put(lake, "splits", SPLITS.empty_table(), **dict.fromkeys(TICKERS, Coverage.EMPTY))
    put(lake, "dividends", DIVIDENDS.empty_table(), **dict.fromkeys(TICKERS, Coverage.EMPTY))
    put(lake, "rates", rates())


def planned(lake: Lake, config: Config, stage_id: str = "g1", **options: bool) -> GoldPlan:
    """Return a plan that there must be."""
    plan = plan_gold(lake, config, DAY, stage_id=stage_id, **options)
    assert plan is not None
    return plan


def stage(lake: Lake, config: Config, plan: GoldPlan) -> None:
    """Build all that a plan names."""
    for underlying in plan.underlyings:
        build_chain_of(lake, config, plan, underlying)
    build_minutes_of(lake, config, plan)


def consolidate(lake: Lake, config: Config, **options: bool) -> dict[str, Publication]:
    """Take all steps."""
    plan = planned(lake, config, **options)
    stage(lake, config, plan)
    return publish_session(lake, config, plan, run_id="r1")


def record(lake: Lake, dataset: str, table: pa.Table, covered: datetime, number: int = 1) -> None:
    """Record the minutes of `DAY` that are over by an instant, as a stream would, in one batch."""
    over = table.filter(pc.less_equal(table["ts"], pa.scalar(covered - timedelta(minutes=1), TIMESTAMP)))
    recordings.record(lake, over, covered, dataset=dataset, session=DAY, seq=number)
