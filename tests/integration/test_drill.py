"""A drill with its processes: what it finds, and that nothing of it is left however it ends."""

import os
import select
import signal
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from bellwether.cli.main import main
from bellwether.config import Config
from bellwether.drill.play import drill
from bellwether.drill.request import Request
from bellwether.errors import ConfigError
from bellwether.monitoring.alerts import Delivery, Message

ROOT = Path(__file__).parents[2]
SESSION = date(2024, 7, 3)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where drills keep what they throw away; one was killed and has left something."""
    monkeypatch.setenv("BELLWETHER__LIMITS__FOLDER", str(tmp_path / "limits"))
    left = tmp_path / "drills" / "drill-of-yesterday"
    left.mkdir(parents=True)
    (left / "held").touch()
    return tmp_path / "drills"


def test_a_drill_breaks_a_stream_repairs_it_tells_people_and_leaves_nothing(home: Path) -> None:
    told: list[Message] = []

    def tell(message: Message) -> Delivery:
        told.append(message)
        return Delivery("kept")

    faults = ("garbage", "kill recorder", "wrong key", "disk full")
    request = Request(session=SESSION, speed=480, minutes=1, faults=faults)
    report = drill(request, Config.load(), tell=tell, url="http://airflow/runs/1")
    assert report.problems() == []
    garbage, killed, refused, full = report.outcomes
    assert set(garbage.causes) == {"unreadable"}
    assert "crash" in killed.causes
    assert killed.missed > 0
    assert refused.connections == 1
    assert full.causes == ()
    assert report.judged.minutes > 60
    assert Counter(report.judged.gaps)["unreadable"] == 1
    failed, stalled = told
    assert failed.subject == "[drill] stream 2024-07-03: equities.stream failed"
    assert "http://airflow/runs/1" in failed.body
    assert "cannot write: " in stalled.body
    assert [path.name for path in home.iterdir()] == ["gate"]


def test_a_fault_nobody_knows_is_refused_before_anything_starts(home: Path) -> None:
    with pytest.raises(ConfigError, match="no fault flood"):
        drill(
            Request(session=SESSION, speed=1, minutes=1, faults=("flood",)), Config.load(), tell=lambda _: Delivery("")
        )
    assert main(["drill", "--session", str(SESSION), "--faults", "flood"]) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a process that its parent died")
def test_the_processes_of_a_drill_that_is_killed_end_with_it(home: Path) -> None:
    command = [sys.executable, "-m", "bellwether.cli.main", "drill", "--session", str(SESSION)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "a recorder is started\n"
        assert process.stderr.readline().startswith("abort: ")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 2
        ends = [os.pidfd_open(int(pid)) for pid in children]
        process.send_signal(signal.SIGKILL)
        for end in ends:
            assert select.select([end], [], [], 10.0)[0]
            os.close(end)
