"""Where the doctor looks: what is given, else the local stack, else the environment."""

from pathlib import Path

import pytest

from bellwether.airflow_api import AirflowApi
from bellwether.cli.doctor import _access, _airflow, _announcement, _local_stack, _location
from bellwether.config import Config
from bellwether.doctor.examination import Access
from bellwether.localstack import StackState, StackStateFile

STACK = StackState(
    "http://127.0.0.1:8080", "admin", "word", lake="/data/simulated-lake", simulator_url="http://127.0.0.1:8765"
)


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW_CONN_POLYGON_DEFAULT", "AIRFLOW_CONN_LAKE_DEFAULT", "POLYGON_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def access(url: str | None = None, stack: StackState | None = STACK) -> Access | str:
    return _access(url, stack, Config(), lambda _: None)


def place(given: str | None, stack: StackState | None) -> str:
    return _location(given, stack, access(stack=stack), Config()).root


def test_without_a_key_the_running_simulator_and_its_lake_are_examined() -> None:
    found = access()
    assert isinstance(found, Access)
    assert (found.url, found.simulated) == (STACK.simulator_url, True)
    assert place(None, STACK) == STACK.lake
    assert place("/data/other", STACK) == "/data/other"


def test_with_a_key_of_ones_own_it_is_the_vendor_and_the_configured_lake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_API_KEY", "doctor-unit-key-0123456789")
    found = access()
    assert isinstance(found, Access)
    assert (found.url, found.simulated) == ("https://api.polygon.io", False)
    assert place(None, STACK) == Config().settings.lake.root


def test_with_neither_key_nor_simulator_the_reason_is_kept() -> None:
    found = access(stack=None)
    assert isinstance(found, str)
    assert "no API key" in found


def test_an_airflow_is_named_or_runs_here_or_is_none() -> None:
    assert isinstance(_airflow("http://airflow/", None, {}), AirflowApi)
    assert isinstance(_airflow(None, None, {"AIRFLOW_URL": "http://airflow"}), AirflowApi)
    assert isinstance(_airflow(None, STACK, {}), AirflowApi)
    assert _airflow(None, None, {}) == "none runs here, and none was named"


@pytest.mark.parametrize(("limit", "words"), [(None, "15 times."), (5, "15 times; at 5 requests a minute that takes")])
def test_the_calls_are_announced_before_they_are_made(limit: int | None, words: str) -> None:
    connect = access(STACK.simulator_url)
    assert isinstance(connect, Access)
    assert words in _announcement(Access("http://vendor", False, limit, connect.connect))


def test_a_stack_that_is_down_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bellwether.cli.doctor.up_home", lambda: tmp_path / "up")
    monkeypatch.setattr("bellwether.cli.doctor.demo_home", lambda: tmp_path / "demo")
    assert _local_stack() is None


def test_a_stack_that_lost_a_component_is_examined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bellwether.cli.doctor.up_home", lambda: tmp_path)
    monkeypatch.setattr("bellwether.localstack.state.living", lambda _records: [7])
    StackStateFile(tmp_path).write(STACK)
    assert not STACK.is_up()
    assert _local_stack() == STACK
