import argparse
import json
from collections.abc import Mapping

import pytest

from bellwether.cli import up
from bellwether.config import Config
from bellwether.localstack import AlreadyRunning, StackState


class Recorded:
    """Stands for LocalStack: keeps what it was given."""

    def __init__(self, *_: object, **options: object) -> None:
        self.options = options
        self.state = StackState("http://127.0.0.1:8080", "admin", "word", simulator_url="http://127.0.0.1:8765")

    def start(self) -> None:
        """Is up at once."""


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "LocalStack", Recorded)
    monkeypatch.setattr(up, "simulator_arguments", lambda: ("--generate",))


def options(env: Mapping[str, str], *, no_simulator: bool = False) -> dict[str, object]:
    return vars(up.local_stack(no_simulator=no_simulator, env=env))["options"]


def test_without_a_key_the_simulator_fills_a_lake_of_its_own() -> None:
    found = options({})
    assert found["simulator"] == ("--generate",)
    assert str(found["lake"]).endswith("simulated-lake")


def test_with_a_key_it_is_polygon_and_the_configured_lake() -> None:
    found = options({"POLYGON_API_KEY": "k", "POLYGON_REQUESTS_PER_MINUTE": "5"})
    assert "simulator" not in found
    assert "lake" not in found
    assert json.loads(found["env"]["AIRFLOW_CONN_POLYGON_DEFAULT"]) == {
        "conn_type": "polygon",
        "host": "https://api.polygon.io",
        "password": "k",
        "extra": {"environment": "production", "requests_per_minute": 5, "sdk": "polygon"},
    }


@pytest.mark.parametrize(
    ("env", "no_simulator"),
    [
        pytest.param(
            {"AIRFLOW_CONN_POLYGON_DEFAULT": "{}"}, False, id="a connection in the environment passes as it is"
        ),
        pytest.param({}, True, id="the connection is left to the UI"),
    ],
)
def test_connection_is_left_alone(env: dict[str, str], *, no_simulator: bool) -> None:
    assert options(env, no_simulator=no_simulator) == {"port": 8080}


def test_up_shows_address_and_login(capsys: pytest.CaptureFixture[str]) -> None:
    assert up.run(argparse.Namespace(no_simulator=False), Config()) == 0
    assert "http://127.0.0.1:8080\nLogin:     admin / word\nSimulator: http://127.0.0.1:8765" in capsys.readouterr().out


def test_second_up_shows_the_address_of_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(self: Recorded) -> None:
        raise AlreadyRunning(self.state)

    monkeypatch.setattr(Recorded, "start", start)
    assert up.run(argparse.Namespace(no_simulator=False), Config()) == 0
    assert capsys.readouterr().out.startswith("It is up already.\nAirflow:   http://127.0.0.1:8080")
