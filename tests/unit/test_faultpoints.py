"""Fault points kill once, and only where a test asked for it."""

import os
import signal
from datetime import date
from pathlib import Path

import pytest

from bellwether import faultpoints

SESSION = date(2025, 7, 1)


def test_without_the_variable_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BELLWETHER_FAULT_DIR", raising=False)
    faultpoints.reach("publish.swapped", SESSION)


def test_the_named_step_of_the_named_session_dies_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    monkeypatch.setenv("BELLWETHER_FAULT_DIR", str(tmp_path))
    (tmp_path / "publish.swapped@2025-07-01").touch()
    faultpoints.reach("publish.kept", SESSION)
    faultpoints.reach("publish.swapped", date(2025, 7, 2))
    assert killed == []
    faultpoints.reach("publish.swapped", SESSION)
    faultpoints.reach("publish.swapped", SESSION)
    assert killed == [(os.getpid(), signal.SIGKILL)]
