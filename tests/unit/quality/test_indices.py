"""The rules of index bars: gate and suite say the same, stale bars are counted and kept."""

import math
import random
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from bellwether.due import SPANS
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import staged_schema
from bellwether.quality.validate import Verdict, validate_session
from bellwether.schemas import INDICES
from tests.unit.quality.frames import HOURS, spoilt_rows


def index_rows(seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    rows = [{name: row.get(name) for name in INDICES.names} | {"is_stale": False} for row in spoilt_rows(seed)]
    for row in rng.sample(rows, 5):
        row["is_stale"] = True
    start, _ = SPANS["indices"](HOURS)
    rows[0] |= {"ts": start - timedelta(minutes=1)}
    rows[1] |= {"ts": start, "ticker": "I:EARLY"}  # hours before any stock trades
    return rows


def judge(rows: list[dict[str, Any]]) -> Verdict:
    table = pa.Table.from_pylist(rows, schema=staged_schema("indices"))
    return validate_session(table, dataset="indices", session_hours=HOURS, rows_expected=table.num_rows)


@pytest.mark.parametrize("seed", range(2))
def test_gate_and_suite_agree_on_every_row(seed: int) -> None:
    rows = index_rows(seed)
    gate = check_batch(pa.Table.from_pylist(rows, schema=staged_schema("indices")), HOURS, "indices")
    verdict = judge(rows)
    bad = verdict.quarantined
    expected = gate.table.append_column("reason", gate.reasons).filter(gate.reasons.is_valid())
    # As text: a row with NaN equals no other.
    assert sorted(map(repr, bad.to_pylist())) == sorted(map(repr, expected.to_pylist()))
    assert verdict.warnings == gate.warnings
    assert verdict.warnings.keys() == {"stale_bar", "missing_regular_minutes", "duplicates_dropped"}
    seen = {word for reason in bad["reason"].to_pylist() for word in reason.split(", ")}
    assert {"null_key", "null_price", "outside_session", "off_minute", "conflicting_rows", "not_finite"} <= seen
    assert not seen & {"null_volume", "negative_volume", "negative_transactions"}


def test_a_stale_bar_is_published_and_counted() -> None:
    row = {"ticker": "I:SPX", "ts": HOURS.close, **dict.fromkeys(("open", "high", "low", "close"), 3700.65)}
    verdict = judge([row | {"is_stale": True}])
    assert (verdict.passed, verdict.good.num_rows, verdict.warnings["stale_bar"]) == (True, 1, 1)


def test_a_bar_before_the_hours_of_stocks_is_within_those_of_an_index() -> None:
    start, _ = SPANS["indices"](HOURS)
    row = {"ticker": "I:VIX", "ts": start, **dict.fromkeys(("open", "high", "low", "close"), 16.0), "is_stale": False}
    assert judge([row]).good.num_rows == 1
    assert judge([row | {"close": math.nan}]).failures[0].startswith("quarantined_share")
