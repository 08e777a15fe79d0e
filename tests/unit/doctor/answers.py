"""Answers as the transport gives them, made by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pyarrow as pa

from bellwether.doctor.entitlement import Result, Verdict
from bellwether.schemas import EQUITIES
from bellwether.sources.aggregates import Aggregates
from bellwether.sources.listing import Listing
from tests.builders import bars

NOW = datetime(2025, 7, 1, 15, 0, tzinfo=UTC)


def aggregates(rows: int = 5, status: Literal["OK", "DELAYED"] = "OK", last: datetime = NOW) -> Aggregates:
    table = bars("SPY", minutes=rows) if rows else EQUITIES.empty_table()
    times = pa.array([last - timedelta(minutes=rows - 1 - row) for row in range(rows)], EQUITIES.field("ts").type)
    return Aggregates("SPY", table.set_column(1, EQUITIES.field("ts"), times), (), status, 1)


def listing(*rows: Any) -> Listing[Any]:
    return Listing(rows, (), "OK", 0, 1)


def included(rows: int = 5, status: Literal["OK", "DELAYED"] = "OK", last: datetime = NOW) -> Result:
    return Result(Verdict.INCLUDED, answer=aggregates(rows, status, last))
