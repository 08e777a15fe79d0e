"""A lake, its vendor, and the daily run, for the tests of what people decide about refused rows."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import pyarrow as pa

from bellwether.calendar import SessionHours
from bellwether.config import Config
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import publish_stage, validate_stage
from bellwether.ingest.plan import Batch, plan_session
from bellwether.lake import Lake, Manifest, paths, read
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import REASON_COLUMN, quarantine_schema, schema_of
from bellwether.quality.validate import Verdict
from bellwether.quarantine.decisions import Action, Entry, read_log
from bellwether.quarantine.release import Settled, chosen, judge, settle
from bellwether.quarantine.standing import Row, Selection, State, find
from tests.builders import SESSION, bars
from tests.unit.ingest.conftest import FakeVendor

ALL = Selection(datasets=("equities",))


def by_the_gate(table: pa.Table, *, dataset: str, session_hours: SessionHours, **_: object) -> Verdict:
    """Stand in for the suite, whose verdicts are the gate's: it takes a quarter of a second each time."""
    report = check_batch(table, session_hours, dataset)
    good = report.table.filter(report.reasons.is_null()).cast(schema_of(dataset))
    bad = report.table.append_column(REASON_COLUMN, report.reasons).filter(report.reasons.is_valid())
    return Verdict(True, good, bad.cast(quarantine_schema(dataset)), {}, [], {}, 0.0)


def with_close(table: pa.Table, *closes: float, minute: int = 0) -> pa.Table:
    """Return bars of which one says each of these closes, once: rows of one key where there are several."""
    [values] = table.slice(minute, 1).to_pylist()
    said = [values | dict.fromkeys(("open", "high", "low", "close"), close) for close in closes]
    rows = pa.Table.from_pylist(said, table.schema)
    return pa.concat_tables([table.slice(0, minute), rows, table.slice(minute + 1)]).combine_chunks()


def upside_down(table: pa.Table, minute: int = 1) -> pa.Table:
    """Return bars of which one has its high below its low."""
    low = table["low"].to_pylist()
    low[minute] = table["high"][minute].as_py() + 1
    return table.set_column(4, table.schema.field("low"), pa.array(low))


class Desk:
    """A lake, its vendor, and what people do."""

    def __init__(self, lake: Lake, config: Config, vendor: FakeVendor, session: date = SESSION) -> None:
        self.lake, self.config, self.vendor, self.session = lake, config, vendor, session

    def on(self, session: date) -> "Desk":
        """Return the desk of another session, captured, with rows that contradict each other, too."""
        vendor = FakeVendor()
        vendor.tables = {ticker: bars(ticker, session) for ticker in ("AAPL", "MSFT", "QQQ", "SPY")}
        vendor.tables["SPY"] = with_close(vendor.tables["SPY"], 100.0, 101.0)
        desk = Desk(self.lake, self.config, vendor, session)
        desk.capture()
        return desk

    def staged(self, stage_id: str = "s1", **options: Any) -> list[Batch]:
        batches = plan_session(
            self.lake, self.config, self.vendor, "equities", self.session, stage_id=stage_id, **options
        )
        for batch in batches:
            fetch_batch(self.lake, self.vendor, self.config, batch)
        validate_stage(self.lake, self.config, batches)
        return batches

    def publish(self, stage_id: str = "s1") -> Manifest:
        done = publish_stage(self.lake, self.config, "equities", self.session, stage_id=stage_id, run_id="run")
        return done.manifest

    def capture(self, stage_id: str = "s1", **options: Any) -> Manifest:
        self.staged(stage_id, **options)
        return self.publish(stage_id)

    @property
    def manifest(self) -> Manifest:
        found = self.lake.manifest("equities", self.session)
        assert found is not None
        return found

    def rows(self, *states: State) -> list[Row]:
        return [row for row in find(self.lake, ALL) if not states or row.state in states]

    def decide(self, action: Action, rows: Iterable[Row], by: str = "ann") -> Settled:
        named = Selection(rows=tuple(row.row_id for row in rows))
        judged = judge(self.lake, action, chosen(self.lake, named, action))
        return settle(self.lake, self.config, judged, by=by, why="looked at it", run_id="r")

    def release(self, *rows: Row, by: str = "ann") -> Settled:
        return self.decide(Action.RELEASED, rows, by)

    def discard(self, *rows: Row, by: str = "ann") -> Settled:
        return self.decide(Action.DISCARDED, rows, by)

    def published(self, ticker: str = "SPY") -> pa.Table:
        return read("equities", self.session, self.session, tickers=[ticker], root=self.lake.root)

    def decisions(self) -> tuple[Entry, ...]:
        return read_log(self.lake, "equities", self.session).entries

    def audit(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = read("quarantine_audit", SESSION, SESSION, root=self.lake.root).to_pylist()
        return rows

    def came_late(self, ticker: str = "SPY", close: float = 99.0, session: date = SESSION) -> Row:
        """Put a valid row into quarantine as having come late; return it."""
        late = with_close(bars(ticker), close).slice(0, 1)
        reasons = pa.array(["late"])
        table = late.append_column(REASON_COLUMN, reasons).cast(quarantine_schema("equities"))
        self.lake.write_parquet(paths.quarantine("equities", session, "s9~late"), table)
        [row] = [row for row in self.rows() if row.reasons == ("late",)]
        return row
