"""What was built is judged: what is written down, what is counted, and what keeps it from being published."""

import json
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate import build
from bellwether.consolidate.intraday import build_so_far
from bellwether.errors import QualityError
from bellwether.lake import Lake, paths
from bellwether.schemas import OPTIONS_SNAPSHOT
from tests.unit.consolidate.lakes import consolidate, equities, prints, put, record
from tests.unit.consolidate.market import DAY
from tests.unit.consolidate.prints import CALL, PUT


def judgement(lake: Lake, dataset: str) -> dict[str, Any]:
    stored = lake.storage.read(paths.quality(dataset, DAY))
    assert stored is not None
    found: dict[str, Any] = json.loads(stored.content)
    return found


def snapshot(ticker: str, vendor_iv: float) -> pa.Table:
    row = {"underlying": "AAPL", "ticker": ticker, "right": "call", "exercise_style": "american", "strike": 200.0}
    taken = prints(ticker, minutes=range(381, 382))["ts"][0].as_py()
    row |= {"ts": taken, "expiration": DAY, "multiplier": 100.0, "vendor_iv": vendor_iv, "vendor_delta": 0.5}
    return pa.Table.from_pylist([row], OPTIONS_SNAPSHOT)


def test_warnings_stand_in_the_manifest_and_by_expiration_in_the_record(lake: Lake, config: Config) -> None:
    extra = [prints(CALL, PUT, minutes=range(380, 381)), prints("O:AAPL250718C00205000", price=30.0)]
    put(lake, "options", pa.concat_tables([prints(CALL, PUT), *extra, prints("O:XYZ250718C00200000")]))
    put(lake, "options_snapshot", snapshot(CALL, 9.0))
    published = consolidate(lake, config)
    warnings = published["chain"].manifest.warnings
    assert (warnings["not_monotone_in_strike"], warnings["iv_far_from_vendor"]) == (13, 1)
    assert (warnings["no_underlying"], warnings["parity_violated"]) == (
        13,
        judgement(lake, "chain")["warnings"]["parity_violated"],
    )
    assert "ok" not in warnings
    rows = {(row["underlying"], row["check"]): row for row in judgement(lake, "chain")["by_expiration"]}
    assert rows["AAPL", "not_monotone_in_strike"] == {
        **{"underlying": "AAPL", "expiration": "2025-07-18", "settlement": "pm", "check": "not_monotone_in_strike"},
        **{"compared": 13, "violations": 13},
    }
    assert published["chain"].manifest.rows == 2 * 14 + 2 * 13
    assert published["minutes"].manifest.warnings == {"no_vix": 0, "silent_minute": 0}
    assert judgement(lake, "minutes")["passed"] is True
    assert published["minutes"].manifest.timings_s.keys() == {"build_s", "validate_s"}


def test_gold_that_breaks_a_rule_is_not_published_and_its_record_says_why(
    lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = build.build_minutes

    def spoilt(*inputs: Any) -> pa.Table:
        minutes = sound(*inputs)
        at = minutes.column_names.index("vix")
        return minutes.set_column(at, "vix", pa.array([-1.0] * len(minutes)))

    monkeypatch.setattr(build, "build_minutes", spoilt)
    with pytest.raises(
        QualityError, match=f"minutes {DAY}: quality: value_out_of_range: .*vix.* 780 rows; nothing was"
    ):
        consolidate(lake, config)
    assert lake.manifest("chain", DAY) is None
    assert lake.manifest("minutes", DAY) is None
    assert judgement(lake, "minutes")["passed"] is False


def test_minutes_that_are_fewer_than_those_of_the_session_are_not_published(
    lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = build.build_minutes
    monkeypatch.setattr(build, "build_minutes", lambda *inputs: sound(*inputs).slice(0, 778))
    with pytest.raises(QualityError, match="row_count: 778 rows, but 780"):
        consolidate(lake, config)
    assert lake.manifest("minutes", DAY) is None


def test_a_session_that_goes_on_is_judged_by_the_minutes_that_are_over(lake: Lake, config: Config) -> None:
    opened = get_calendar().hours(DAY).open
    lake.storage.delete(paths.partition("equities", DAY))
    record(lake, "equities", equities(), opened + timedelta(minutes=100))
    so_far = build_so_far(lake, config, DAY, stage_id="i", run_id="r")
    assert so_far.minutes is not None
    assert so_far.minutes.rows == 2 * 99
    verdicts = [judgement(lake, dataset) for dataset in ("chain", "minutes")]
    assert [(each["passed"], each["rows"]) for each in verdicts] == [(True, 8), (True, 198)]
