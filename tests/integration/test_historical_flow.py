"""History from the vendor's wire to published partitions, by the command line: the same library code as the DAG.

Interrupted and broken backfills must heal. That real minutes arrive value for value is proven on a real Airflow, in
`tests/e2e/test_archive.py`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bellwether.cli.main import main
from bellwether.lake import Coverage, Lake, paths, read
from bellwether.lake.stage import Stage
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

UNIVERSE = ["AAPL", "MSFT", "QQQ", "SPY"]
WEEK = ("2025-06-30", "2025-07-04")  # four sessions: a half day and a holiday at the end


@pytest.fixture
def universe(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    def use(tickers: list[str]) -> None:
        monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(tickers))

    monkeypatch.setenv("BELLWETHER__INGEST__BATCH_TICKERS", "2")
    monkeypatch.setenv("BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S", "0")
    monkeypatch.delenv("POLYGON_API_KEY", raising=False)
    monkeypatch.delenv("AIRFLOW_CONN_POLYGON_DEFAULT", raising=False)
    monkeypatch.delenv("AIRFLOW_CONN_LAKE_DEFAULT", raising=False)
    use(UNIVERSE)
    return use


@contextmanager
def generated() -> Iterator[RunningSimulator]:
    with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=UNIVERSE))) as simulator:
        yield simulator


def backfill(url: str, lake: Path, *options: str, start: str = WEEK[0], end: str = WEEK[1]) -> int:
    arguments = ["--start", start, "--end", end, "--lake", str(lake), "--url", url, *options]
    return main(["backfill", "equities", *arguments])


def test_a_second_backfill_asks_nothing_and_force_asks_all_without_a_new_revision(
    tmp_path: Path, universe: Callable[[list[str]], None]
) -> None:
    with generated() as simulator:
        start = "2025-07-02"
        assert backfill(simulator.url, tmp_path, start=start) == 0
        lake = Lake.open(tmp_path)
        assert [str(session) for session in lake.sessions("equities")] == [start, "2025-07-03"]
        before = [lake.manifest("equities", session) for session in lake.sessions("equities")]
        simulator.requests.clear()
        assert backfill(simulator.url, tmp_path, start=start) == 0
        assert simulator.requests == []
        assert backfill(simulator.url, tmp_path, "--force", start=start) == 0
        assert len(simulator.requests) == 8
    assert [lake.manifest("equities", session) for session in lake.sessions("equities")] == before
    assert list((tmp_path / "stage").rglob("*.parquet")) == []


def test_a_failed_ticker_leaves_the_rest_published_and_the_next_backfill_fetches_it_alone(
    tmp_path: Path, universe: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with generated() as simulator:
        simulator.faults.add(Fault(kind="server_error", ticker="QQQ", session=date(2025, 7, 1), count=None))
        two_sessions = {"start": "2025-07-01", "end": "2025-07-02"}
        assert backfill(simulator.url, tmp_path, **two_sessions) == 1
        assert "2025-07-01 QQQ: ServerError" in capsys.readouterr().err
        manifest = Lake.open(tmp_path).manifest("equities", date(2025, 7, 1))
        assert manifest.coverage["QQQ"].state is Coverage.FAILED
        assert manifest.coverage["SPY"].state is Coverage.COMPLETE
        simulator.faults.clear()
        simulator.requests.clear()
        assert backfill(simulator.url, tmp_path, **two_sessions) == 0
        assert [request.ticker for request in simulator.requests] == ["QQQ"]


def test_killed_in_mid_session_a_backfill_resumes_at_the_first_unfinished_batch(
    tmp_path: Path, universe: Callable[[list[str]], None]
) -> None:
    with generated() as simulator:
        simulator.faults.add(Fault(kind="hang", ticker="QQQ", session=date(2025, 7, 1), count=1))
        command = [sys.executable, "-m", "bellwether.cli.main", "backfill", "equities", "--start", WEEK[0]]
        command += ["--end", WEEK[1], "--lake", str(tmp_path), "--url", simulator.url]
        process = subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.DEVNULL)
        while not any(request.ticker == "QQQ" and request.fault == "hang" for request in simulator.requests):
            assert process.poll() is None
            threading.Event().wait(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        simulator.requests.clear()
        assert backfill(simulator.url, tmp_path) == 0
        asked = [(request.session, request.ticker) for request in simulator.requests]
    assert asked[:2] == [(date(2025, 7, 1), "QQQ"), (date(2025, 7, 1), "SPY")]
    assert len(asked) == 2 + 4 + 4
    assert read("equities", *WEEK, root=tmp_path).num_rows > 4 * 4 * 200


def test_stages_of_dead_backfills_are_removed_and_those_of_others_stay(
    tmp_path: Path, universe: Callable[[list[str]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = date(2025, 7, 1)
    storage, stages = Lake.open(tmp_path, simulated=True).storage, paths.stages("equities", session)
    others = {"cli-is-a-name-of-airflow-c0ffee", "cli~another-machine~c0ffee"}
    for name in others:
        storage.write(stages / name / "b000.parquet", b"")
    with generated() as simulator:
        one_session = {"start": str(session), "end": str(session)}
        for next_one in ([], ["--tickers", "SPY", "--force"]):  # with nothing to fetch; with another plan
            with monkeypatch.context() as patch:
                patch.setattr(Stage, "remove", lambda _: None)  # ends before it is done
                assert backfill(simulator.url, tmp_path, "--force", **one_session) == 0
            assert len({entry.key.parent.name for entry in storage.list(stages)} - others) == 1
            assert backfill(simulator.url, tmp_path, *next_one, **one_session) == 0
            assert {entry.key.parent.name for entry in storage.list(stages)} == others


def test_bad_rows_are_quarantined_with_reason_and_conflicts_lose_both_rows(
    tmp_path: Path, universe: Callable[[list[str]], None]
) -> None:
    with generated() as simulator:
        simulator.faults.add(Fault(kind="high_below_low", ticker="SPY", session=date(2025, 7, 1)))
        simulator.faults.add(Fault(kind="conflicting_duplicate", ticker="QQQ", session=date(2025, 7, 1)))
        assert backfill(simulator.url, tmp_path, start="2025-07-01", end="2025-07-01") == 0
    manifest = Lake.open(tmp_path).manifest("equities", date(2025, 7, 1))
    assert manifest.coverage["SPY"].quarantined_rows == 1
    assert manifest.coverage["QQQ"].quarantined_rows == 2
    [file] = (tmp_path / "quarantine" / "equities").rglob("*.parquet")
    reasons = dict(zip(*(pq.read_table(file)[c].to_pylist() for c in ("ticker", "reason")), strict=True))
    assert "high_below_low" in reasons["SPY"]
    assert reasons["QQQ"] == "conflicting_rows"


def test_coverage_shows_what_lacks_and_answers_by_exit_code(
    tmp_path: Path, universe: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["coverage", "--lake", str(tmp_path), "--start", WEEK[0], "--end", WEEK[1]]
    with generated() as simulator:
        backfill(simulator.url, tmp_path, end="2025-07-02")
    capsys.readouterr()
    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert "2025-07-03" in shown
    assert "missing" in shown
    assert main([*arguments[:-1], "2025-07-02", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 12
    assert {line["state"] for line in lines} == {"complete"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["backfill", "equities", "--start", "2025-07-05", "--end", "2025-07-06"], "no session of equities is due"),
        (["backfill", "equities", "--start", "2025-07-01", "--end", "2025-07-01", "--tickers", "ZZZ"], "holds AAPL"),
        (
            ["backfill", "equities", "--start", "2025-07-01", "--end", "2025-07-01", "--lake", "gs://x/y"],
            "a lake is a folder, a file:// URL or s3://",
        ),
        (["coverage", "--start", "2025-07-01", "--end", "2025-07-01"], "there is no lake at"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_with_exit_code_2(
    tmp_path: Path,
    universe: Callable[[list[str]], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("BELLWETHER__LAKE__ROOT", str(tmp_path / "lake"))
    extra = ["--url", "http://127.0.0.1:9"] if arguments[0] == "backfill" else []
    assert main([*arguments, *extra]) == 2
    assert message in capsys.readouterr().err


def test_without_a_key_the_command_says_which_variables_it_reads(
    tmp_path: Path, universe: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", "equities", "--start", "2025-07-01", "--end", "2025-07-01", "--lake", str(tmp_path)]) == 2
    assert "POLYGON_API_KEY or AIRFLOW_CONN_POLYGON_DEFAULT" in capsys.readouterr().err
