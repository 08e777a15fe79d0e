import argparse
from pathlib import Path

import pytest

from bellwether.cli import down
from bellwether.config import Config
from bellwether.localstack import StackState


def test_down_says_what_it_stopped_and_is_harmless_when_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running = {"airflow": StackState("http://127.0.0.1:8080", "admin", "word")}

    def stop(home: Path) -> StackState | None:
        return running.pop(home.name, None)

    monkeypatch.setattr(down, "stop", stop)
    assert down.run(argparse.Namespace(), Config()) == 0
    assert down.run(argparse.Namespace(), Config()) == 0
    assert capsys.readouterr().out == "Stopped http://127.0.0.1:8080.\nNothing is running.\n"
