"""Small tables and submissions for tests: bars that every rule accepts, varied by a seed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.config.sinks import SinkSettings
from bellwether.consolidate.build import consolidate, plan_gold
from bellwether.lake import Coverage, Lake, TickerCoverage
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import Submission, publish
from bellwether.schemas import EQUITIES, INDICES
from bellwether.sources import rows
from bellwether.sources.endpoints import TICKERS, Endpoint
from bellwether.sources.listing import Listing
from bellwether.sources.raw import RawPage, Request
from bellwether.sources.walk import PageLog

SESSION = date(2025, 7, 1)


def bars(ticker: str, session: date = SESSION, minutes: int = 5, seed: int = 0) -> pa.Table:
    """Return `minutes` regular bars of a ticker from the open on."""
    rng = np.random.default_rng([seed, *ticker.encode()])
    start = get_calendar().hours(session).open
    close = np.round(100 + rng.normal(0, 1, minutes), 2)
    open_ = np.round(close + rng.normal(0, 0.2, minutes), 2)
    return pa.table(
        {
            "ticker": [ticker] * minutes,
            "ts": [start + timedelta(minutes=i) for i in range(minutes)],
            "open": open_,
            "high": np.maximum(open_, close) + 0.05,
            "low": np.minimum(open_, close) - 0.05,
            "close": close,
            "volume": rng.integers(100, 10_000, minutes).astype(float),
            "vwap": (open_ + close) / 2,
            "transactions": rng.integers(1, 100, minutes),
        },
        schema=EQUITIES,
    )


VENDORS_NAMES = {"ts": "t", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "vwap": "vw"}


def bars_body(ticker: str, table: pa.Table, **changes: Any) -> bytes:
    """Return one page of the vendor's that holds a table's bars."""
    named = table.drop_columns(["ticker"]).set_column(0, "ts", table["ts"].cast(pa.int64()))
    rows = named.rename_columns([VENDORS_NAMES.get(name, "n") for name in named.column_names]).to_pylist()
    head = {"ticker": ticker, "status": "OK", "adjusted": False, "queryCount": len(rows), "resultsCount": len(rows)}
    return json.dumps(head | ({"results": rows} if rows else {}) | changes).encode()


def complete(*tables: pa.Table, stage_id: str = "s1") -> dict[str, TickerCoverage]:
    """Return the coverage of tables that hold one ticker each."""
    return {
        table["ticker"][0].as_py(): TickerCoverage(Coverage.COMPLETE, rows=table.num_rows, stage_id=stage_id)
        for table in tables
    }


def submission(*tables: pa.Table, session: date = SESSION, stage_id: str = "s1", **changes: Any) -> Submission:
    """Return a submission of tables that hold one ticker each."""
    values: dict[str, Any] = {
        "dataset": "equities",
        "session": session,
        "table": pa.concat_tables([EQUITIES.empty_table(), *tables]),
        "coverage": complete(*tables, stage_id=stage_id),
        "stage_id": stage_id,
        "run_id": f"run-{stage_id}",
        "config_hash": "c",
        "inputs": {f"{stage_id}/b000.parquet": "hash"},
        "api_calls": len(tables),
        "timings_s": {},
        "count_warnings": lambda table: {"rows_seen": table.num_rows},
    }
    return Submission(**(values | changes))


def publish_bars(lake: Lake, tickers: Sequence[str], session: date = SESSION, seed: int = 0) -> str:
    """Publish bars of tickers, other values for another seed; return the revision."""
    tables = [bars(ticker, session, seed=seed) for ticker in tickers]
    layout = FileLayout(SinkSettings(), "snappy")
    return publish(lake, submission(*tables, session=session, stage_id=f"s{seed}"), layout).manifest.revision


def publish_indices(lake: Lake, session: date) -> None:
    """Publish bars of the VIX."""
    levels = bars("I:VIX", session).select(INDICES.names[:-1])
    table = levels.append_column("is_stale", pa.repeat(False, len(levels))).cast(INDICES)
    made = submission(session=session, dataset="indices", table=table, coverage=complete(table))
    publish(lake, made, FileLayout(SinkSettings(), "snappy"))


def publish_gold_of(lake: Lake, session: date, config: Config) -> None:
    """Consolidate a session without options."""
    plan = plan_gold(lake, config, session, stage_id="gold")
    assert plan is not None
    consolidate(lake, config, plan, run_id="gold")


def failed(tickers: Sequence[str], reason: str = "ServerError: boom") -> dict[str, TickerCoverage]:
    """Return the coverage of tickers that could not be fetched."""
    return {ticker: TickerCoverage(Coverage.FAILED, reason=reason) for ticker in tickers}


@dataclass
class FakeReference:
    """The reference half of the vendor: who is listed from when until when, and what was traded on which day.

    Attributes
    ----------
    listed
        `(ticker, type, first day, day after the last)`.
    traded
        Grouped daily rows, by day.
    asked
        What was asked, in order.
    """

    listed: Sequence[tuple[str, str, date, date]] = ()
    traded: Mapping[date, Sequence[Any]] = field(default_factory=dict)
    asked: list[tuple[str, object]] = field(default_factory=list)

    def reading(self, _take: object) -> "FakeReference":
        return self

    def listing(self, endpoint: Endpoint[Any], filters: Mapping[str, Any], *, page_log: PageLog | None) -> Listing[Any]:
        self.asked.append((filters["type"], filters["date"]))
        assert endpoint is TICKERS
        assert (filters["active"], filters["market"]) == (True, "stocks")
        return self._answer(
            rows.Ticker(ticker=ticker, market="stocks", locale="us", type=kind, active=True)
            for ticker, kind, first, end in self.listed
            if kind == filters["type"] and first <= filters["date"] < end
        )

    def grouped_daily(self, day: date) -> Listing[Any]:
        self.asked.append(("grouped", day))
        return self._answer(self.traded.get(day, ()))

    def _answer(self, found: Iterable[Any]) -> Listing[Any]:
        name = f"page {len(self.asked)}"
        page = RawPage(
            request=Request("reference", {"name": name}),
            chain_id=name,
            number=0,
            url="http://vendor/reference",
            http_status=200,
            request_id=name,
            headers={},
            received_utc=datetime(2025, 7, 2, tzinfo=UTC),
            body=name.encode(),
        )
        return Listing(rows=tuple(found), pages=(page,), status="OK", duplicates_dropped=0, api_calls=1)


def traded(ticker: str, dollars: float, vwap: float | None = 10.0) -> rows.GroupedBar:
    """Return a row of the grouped daily bars."""
    return rows.GroupedBar(ticker=ticker, o=5.0, h=5.0, l=5.0, c=5.0, v=dollars / (vwap or 5.0), t=0, vw=vwap)
