"""Processes of a local stack, without Airflow: started, found again, ended to the last one."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bellwether.errors import BellwetherError
from bellwether.localstack import LocalStack, StackStateFile
from bellwether.localstack.processes import ProcessRecord, end_sessions, free_port, is_running, living, spawn
from bellwether.localstack.simulator import SimulatorProcess

ROOT = Path(__file__).resolve().parents[2]
BELLWETHER = str(Path(sys.executable).with_name("bellwether"))
# A leader and its child, which ignores SIGTERM; each reports through the FIFO when it is ready.
FAMILY = """
import os, signal, sys
child = os.fork() == 0
if child:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1], "w") as fifo:
    fifo.write("c" if child else "l")
while True:
    signal.pause()
"""

# Stands in for Airflow's command: migrates nothing, and of the components the scheduler ends at once.
AIRFLOW = """#!/bin/sh
case $1 in
db) ;;
scheduler) echo NoSuchExecutor; exit 1 ;;
*) exec sleep 60 ;;
esac
"""


@pytest.fixture
def family(tmp_path: Path) -> ProcessRecord:
    fifo = tmp_path / "ready"
    os.mkfifo(fifo)
    command = [sys.executable, "-c", FAMILY, str(fifo)]
    record = spawn("family", command, env=os.environ, cwd=tmp_path, log=tmp_path / "family.log")
    said = ""
    while set(said) != {"c", "l"}:
        with fifo.open() as ready:
            said += ready.read()
    return record


def test_children_are_ended_with_their_leader_even_those_that_ignore_sigterm(family: ProcessRecord) -> None:
    assert len(living([family])) == 2
    assert is_running(family)
    end_sessions([family], grace_s=0.3)
    assert living([family]) == []
    assert not is_running(family)


def test_orphans_of_a_killed_leader_are_found_and_ended(family: ProcessRecord) -> None:
    os.kill(family.pid, signal.SIGKILL)
    os.waitpid(family.pid, 0)
    assert not is_running(family)
    assert len(living([family])) == 1
    end_sessions([family], grace_s=0.0)
    assert living([family]) == []


def test_a_process_that_only_has_the_recorded_pid_is_left_alone(family: ProcessRecord) -> None:
    other = ProcessRecord(name="other", pid=family.pid, started="1", boot=family.boot, log=family.log)
    assert not is_running(other)
    end_sessions([other], grace_s=0.0)
    assert is_running(family)
    end_sessions([family], grace_s=0.0)


def test_taken_port_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert free_port(taken) not in (taken, 0)
    assert free_port(taken) == taken


def test_simulator_serves_until_it_is_ended(tmp_path: Path) -> None:
    simulator = SimulatorProcess(BELLWETHER, ["--generate", "--tickers", "SPY"], tmp_path / "simulator.log")
    try:
        vendor = simulator.wait()
        assert vendor.url.startswith("http://127.0.0.1:")
        assert vendor.environment == "simulated"
    finally:
        end_sessions([simulator.record], grace_s=5.0)
    assert living([simulator.record]) == []


def test_simulator_that_does_not_start_says_why(tmp_path: Path) -> None:
    simulator = SimulatorProcess(BELLWETHER, ["--generate", "--tickers", "not a ticker"], tmp_path / "simulator.log")
    with pytest.raises(BellwetherError, match=r"did not start(.|\n)*not a ticker"):
        simulator.wait()


def test_make_lists_its_targets() -> None:
    listed = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory"], capture_output=True, text=True, check=True
    )
    targets = {line.split()[1] for line in listed.stdout.splitlines()}
    assert targets >= {"demo", "up", "down", "test", "unit", "dags", "integration", "e2e", "lint", "bench", "lock"}


@pytest.mark.parametrize(
    ("in_ci", "expected"),
    [
        pytest.param("true", "1 failed, 1 passed", id="in CI a skip is a failure"),
        pytest.param("", "1 passed, 1 skipped", id="elsewhere a skip is a skip"),
    ],
)
def test_skipped_tests(tmp_path: Path, in_ci: str, expected: str) -> None:
    unit = tmp_path / "tests" / "unit"
    unit.mkdir(parents=True)
    for name in ("conftest.py", "windows.py"):
        (tmp_path / "tests" / name).write_text((ROOT / "tests" / name).read_text())
    (unit / "test_it.py").write_text("import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no archive')\n")
    command = [sys.executable, "-m", "pytest", "--rootdir", ".", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"CI": in_ci}, capture_output=True, text=True, check=False
    )
    assert expected in done.stdout
    assert "tier unit: 0 s of its budget of 60 s" in done.stdout
    assert done.returncode == (1 if in_ci else 0)


def test_component_that_dies_at_its_start_is_shown_with_its_log_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "airflow").write_text(AIRFLOW)
    (scripts / "airflow").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    stack = LocalStack(tmp_path / "home")
    with pytest.raises(BellwetherError, match=r"scheduler ended by itself(.|\n)*NoSuchExecutor"):
        stack.start()
    assert [record.name for record in stack.state.processes] == [
        "api-server", "scheduler", "dag-processor", "triggerer"
    ]  # fmt: skip
    assert living(stack.state.processes) == []
    assert StackStateFile(stack.home).read() is None
