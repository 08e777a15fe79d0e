"""`bellwether doctor` and the live survey against the simulator: plans, keys, addresses, lakes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bellwether.cli.main import main
from bellwether.clock import SimulatedClock
from bellwether.doctor.examination import MOST_CALLS
from bellwether.lake import Lake
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS, Plan
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.sources.endpoints import ENDPOINTS
from tests.live import survey

KEY = "doctor-test-key-0123456789"
# The market trades, stocks split lately, and a week of news fills no page.
NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
_MANY = 600  # so many stocks that some split in every month

Findings = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    """Return the plans by key; the free one without its limit, which would make every test wait."""
    named = {**PLANS, "options-only": Plan(classes=frozenset({"options"}))}
    return {f"{KEY}-{name}": replace(plan, requests_per_window=None) for name, plan in named.items()}


@pytest.fixture(scope="module")
def vendor(plans: dict[str, Plan]) -> Iterator[RunningSimulator]:
    market = GeneratedMarket(seed=1, tickers=_MANY)
    with running(SimulatorConfig(market=market, clock=SimulatedClock(NOW, speed=0.0), plans=plans)) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def environment(vendor: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no key and no Airflow of this machine in, and begin without faults."""
    for name in ("AIRFLOW_CONN_POLYGON_DEFAULT", "AIRFLOW_CONN_LAKE_DEFAULT", "AIRFLOW_URL", "POLYGON_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("bellwether.cli.doctor._local_stack", lambda: None)
    monkeypatch.setenv("BELLWETHER__LIMITS__FOLDER", str(tmp_path / "limits"))
    vendor.faults.clear()
    vendor.requests.clear()


def connect(monkeypatch: pytest.MonkeyPatch, url: str, key: str, **extra: object) -> None:
    connection = {"conn_type": "polygon", "host": url, "password": key, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_POLYGON_DEFAULT", json.dumps(connection))


def doctor(capsys: pytest.CaptureFixture[str], lake: Path, *arguments: str) -> tuple[int, Findings]:
    code = main(["doctor", "--json", "--lake", str(lake), *arguments])
    content = json.loads(capsys.readouterr().out)
    assert content["exit_code"] == code
    return code, {finding["check"]: finding for finding in content["findings"]}


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        pytest.param(
            "free",
            {
                "options snapshot": ("warning", "not included"),
                "freshness": ("ok", "end of day"),
                "history": ("ok", "2024-12-02 at least, and not to 2021-12-01"),
                "rate limit": ("warning", "looks like the free one"),
                "first backfill": ("ok", "at 5 a minute"),
            },
            id="free",
        ),
        pytest.param(
            "free-clipped", {"history": ("ok", "2024-12-02 at least"), "rate limit": ("warning", "free")}, id="clipped"
        ),
        pytest.param("delayed", {"freshness": ("ok", "delayed by 15"), "rate limit": ("ok", "none")}, id="delayed"),
        pytest.param("realtime", {"freshness": ("ok", "real time"), "history": ("ok", "all of it")}, id="realtime"),
    ],
)
def test_the_plan_is_read_off_few_answers(
    vendor: RunningSimulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    plan: str,
    expected: dict[str, tuple[str, str]],
) -> None:
    connect(monkeypatch, vendor.url, f"{KEY}-{plan}", environment="simulated")
    code, findings = doctor(capsys, tmp_path / "lake")
    assert code == 0
    included = {
        "key",
        "equities",
        "options contracts",
        "options bars",
        "index I:VIX",
        "reference",
        "splits",
        "dividends",
    }
    assert {findings[check]["level"] for check in included} == {"ok"}
    for check, (level, words) in expected.items():
        assert findings[check]["level"] == level, findings[check]
        assert words in findings[check]["says"]
    assert len(vendor.requests) <= MOST_CALLS
    assert "12 tickers x" in findings["first backfill"]["says"]


def test_a_plan_without_stocks_is_a_problem(
    vendor: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(monkeypatch, vendor.url, f"{KEY}-options-only", environment="simulated")
    code, findings = doctor(capsys, tmp_path / "lake")
    assert code == 1
    assert findings["equities"]["level"] == "problem"
    assert findings["index I:VIX"]["level"] == "warning"
    assert findings["options bars"]["level"] == "ok"


@pytest.mark.parametrize(
    ("key", "words"), [("doctor-wrong-key-0123456789", "does not accept"), (None, "no API key: set POLYGON_API_KEY")]
)
def test_a_key_that_is_wrong_or_absent_is_a_problem_and_the_rest_is_still_examined(
    vendor: RunningSimulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key: str | None,
    words: str,
) -> None:
    if key:
        connect(monkeypatch, vendor.url, key, environment="simulated")
    code, findings = doctor(capsys, tmp_path / "lake")
    assert code == 1
    assert words in findings["key"]["says"]
    assert findings["lake write"]["level"] == "ok"
    assert findings["airflow"]["level"] == "could not check"
    assert key is None or key not in json.dumps(findings)


def test_a_dead_address_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, findings = doctor(capsys, tmp_path / "lake", "--url", "http://127.0.0.1:1")
    assert code == 1
    assert "cannot be reached" in findings["key"]["says"]
    assert findings["plan"]["level"] == "could not check"


def test_a_simulated_lake_under_a_production_key_is_a_problem(
    vendor: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Lake.open(tmp_path / "lake", simulated=True)
    connect(monkeypatch, vendor.url, f"{KEY}-realtime", environment="production")
    code, findings = doctor(capsys, tmp_path / "lake")
    assert code == 1
    assert "brings production data" in findings["lake"]["says"]
    # The vendor's clock stands still in the past: against a real vendor that is this machine's fault.
    assert findings["clock"]["level"] == "problem"


def test_a_lake_that_cannot_be_written_is_a_problem(
    vendor: RunningSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lake").write_text("a file stands where the folder should")
    code, findings = doctor(capsys, tmp_path / "lake", "--url", "http://127.0.0.1:1")
    assert code == 1
    assert findings["lake"]["level"] == "problem"


def test_what_the_vendor_fails_to_answer_is_unknown_not_unentitled(
    vendor: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(monkeypatch, vendor.url, f"{KEY}-realtime", environment="simulated")
    vendor.faults.add(Fault(kind="server_error", path="/v2/reference/news", count=None))
    vendor.faults.add(Fault(kind="cut_json", path="/v3/reference/dividends", count=None))
    code, findings = doctor(capsys, tmp_path / "lake")
    assert code == 0
    assert findings["news"]["level"] == findings["dividends"]["level"] == "could not check"
    assert "ServerError" in findings["news"]["says"]


def test_the_ledgers_gap_is_named_with_its_command(
    vendor: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(monkeypatch, vendor.url, f"{KEY}-realtime", environment="simulated")
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[SPY]")
    for day in ("2025-11-24", "2025-11-26"):
        assert main(["backfill", "equities", "--start", day, "--end", day, "--lake", str(tmp_path)]) == 0
    capsys.readouterr()
    code, findings = doctor(capsys, tmp_path, "--start", "2025-11-24", "--end", "2025-11-26")
    assert code == 0
    assert "not complete are 2025-11-25;" in findings["ledger equities_daily"]["says"]
    ledger = findings["ledger equities_daily"]
    assert ledger["advice"] == "bellwether backfill equities --start 2025-11-25 --end 2025-11-25"
    assert findings["ledger options_daily"]["says"] == "nothing was captured yet, and no session is owed"
    assert "1 tickers x 3 sessions = 3 API calls" in findings["first backfill"]["says"]
    assert "measured" in findings["first backfill"]["says"]


def test_an_address_that_is_no_airflow_is_no_failure(
    vendor: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(monkeypatch, vendor.url, f"{KEY}-realtime", environment="simulated")
    code, findings = doctor(capsys, tmp_path / "lake", "--airflow", vendor.url)
    assert code == 0
    assert findings["airflow"]["level"] == "could not check"
    assert "HTTP 401" in findings["airflow"]["says"]


def test_people_get_a_line_per_check_and_are_told_of_the_calls_first(
    vendor: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(monkeypatch, vendor.url, f"{KEY}-realtime", environment="simulated", requests_per_minute=600)
    assert main(["doctor", "--lake", str(tmp_path / "lake")]) == 0
    written = capsys.readouterr()
    lines = written.out.splitlines()
    assert lines[0].startswith("ok               configuration: ")
    assert all(line.startswith(("ok ", "warning ", "problem ", "could not check ")) for line in lines)
    assert f"some {MOST_CALLS} times; at 600 requests a minute" in written.err


def test_a_range_that_ends_before_it_begins_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--start", "2025-11-28", "--end", "2025-11-24"]) == 2
    assert "is before --start" in capsys.readouterr().err


# --- make test-live


def live(url: str, key: str) -> dict[str, str]:
    connection: dict[str, Any] = {"host": url, "password": key, "extra": {"environment": "simulated"}}
    return {"AIRFLOW_CONN_POLYGON_DEFAULT": json.dumps(connection)}


def test_the_survey_decodes_every_endpoint_and_says_what_it_could_not_check(
    vendor: RunningSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert survey.main(live(vendor.url, f"{KEY}-realtime")) == 0
    told = capsys.readouterr().out
    assert "wrong key: refused as expected" in told
    assert told.count("every one decoded") >= len(ENDPOINTS)
    for what in survey.UNCHECKED:
        assert f"could not check  {what}: " in told


@pytest.mark.parametrize(("plan", "how"), [("free", "refused"), ("free-clipped", "clipped, without a word")])
def test_the_survey_finds_out_what_comes_from_before_the_plans_history(
    vendor: RunningSimulator, capsys: pytest.CaptureFixture[str], plan: str, how: str
) -> None:
    assert survey.main(live(vendor.url, f"{KEY}-{plan}")) == 0
    told = capsys.readouterr().out
    assert f"before the plan's history: 2021-12-01: {how}" in told
    assert "warning          options snapshot: not included in this plan" in told


def test_the_survey_fails_on_an_answer_that_does_not_decode(
    vendor: RunningSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.faults.add(Fault(kind="cut_json", path="/v3/reference/dividends", count=None))
    assert survey.main(live(vendor.url, f"{KEY}-realtime")) == 1
    assert "problem          dividends: " in capsys.readouterr().out


def test_the_survey_without_a_key_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert survey.main({}) == 2
    assert "no API key: set POLYGON_API_KEY" in capsys.readouterr().err
