"""`bellwether quarantine` and `bellwether verify`: what they say, and by which exit code."""

import json
from typing import Any

import pytest

from bellwether.cli.main import main
from bellwether.lake import paths
from tests.builders import SESSION, bars
from tests.unit.ingest.conftest import config, lake, vendor
from tests.unit.quarantine.conftest import desk
from tests.unit.quarantine.desk import Desk, upside_down

__all__ = ["config", "desk", "lake", "vendor"]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def listed(desk: Desk, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["quarantine", "list", "--json", "--lake", desk.lake.root, *options]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return rows


def test_rows_are_listed_shown_released_and_discarded(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--lake", desk.lake.root]
    assert main(["quarantine", "list", *at]) == 0
    told = said(capsys)
    assert "conflicting_rows" in told
    assert "2 of equities 2025-07-01: conflicting_rows, open" in told
    first, second = listed(desk, capsys, "--dataset", "equities", "--start", str(SESSION), "--tickers", "SPY")
    assert (first["state"], first["values"]["ticker"], first["fetched_utc"][:10]) == ("open", "SPY", "2025-07-10")
    assert main(["quarantine", "show", first["row"], *at]) == 0
    assert "it can be released" in said(capsys)

    release = ["quarantine", "release", first["row"], "--reason", "the tape has it", *at]
    assert main([*release, "--dry-run"]) == 0
    assert "1 row would be released." in said(capsys)
    assert main(release) == 0
    assert "1 rows released; decisions: equities.2025-07-01.0001 published anew: equities 2025-07-01" in said(capsys)
    assert main(release) == 0
    assert "already released by" in said(capsys)
    assert main(["quarantine", "discard", "--rule", "conflicting_rows", "--reason", "the other", *at]) == 0
    assert listed(desk, capsys) == []
    assert main(["quarantine", "list", *at]) == 0
    assert "no such row in quarantine" in said(capsys)
    assert [row["reason"] for row in listed(desk, capsys, "--state", "discarded")] == ["the other"]
    assert {row["row"] for row in listed(desk, capsys, "--state", "all")} == {first["row"], second["row"]}


def test_a_row_that_is_still_invalid_is_refused_with_exit_code_2(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.vendor.tables["QQQ"] = upside_down(bars("QQQ"))
    before = desk.capture("s2", force=True)
    [bar] = listed(desk, capsys, "--rule", "high_below_low")
    at = ["--lake", desk.lake.root]
    release = ["quarantine", "release", bar["row"], "--reason", "please", *at]
    assert main([*release, "--dry-run"]) == main(["quarantine", "show", bar["row"], *at]) == 1
    capsys.readouterr()
    assert main(release) == 2
    assert f"nothing was changed: {bar['row']}: still invalid: high_below_low" in said(capsys)
    assert main(["quarantine", "release", "--reason", "all of them", *at]) == 2
    assert "say which rows are meant" in said(capsys)
    assert desk.manifest == before


def test_verify_says_what_is_equal_and_exits_1_where_something_is_not(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["verify", "--sessions", str(SESSION), "--lake", desk.lake.root]
    assert main(command) == 0
    assert "equities │ equal" in said(capsys)
    key = paths.partition("equities", SESSION)
    stored = desk.lake.storage.read(key)
    assert stored is not None
    desk.lake.storage.write(key, stored.content[:-50])
    assert main([*command, "--json"]) == 1
    [outcome] = json.loads(capsys.readouterr().out)["outcomes"]
    assert (outcome["dataset"], outcome["state"]) == ("equities", "damaged")
