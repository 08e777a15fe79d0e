"""What docker-compose.yaml tells Airflow and Bellwether: of a setting that is misspelt Airflow tells nobody."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from bellwether.localstack.environment import Secrets, airflow_environment

REPOSITORY = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())["services"]
# The official image hands to `airflow` what it does not know itself, as it does `bash`.
COMPONENTS = [name for name, service in SERVICES.items() if "command" in service and "entrypoint" not in service]


def composed() -> list[str]:
    return [name for service in SERVICES.values() for name in service["environment"]]


def local() -> list[str]:
    kept = Secrets(password="p", fernet_key="f", jwt_secret="j")  # noqa: S106 - none
    return list(airflow_environment(home=Path("/h"), port=1, dag_bundles={"d": Path("/d")}, kept=kept, inherited={}))


@pytest.mark.parametrize("names", [composed(), local()], ids=["compose", "local stack"])
def test_airflow_knows_every_setting(names: list[str]) -> None:
    from airflow.configuration import conf

    known = {
        f"AIRFLOW__{section}__{option}".upper()
        for section, content in conf.configuration_description.items()
        for option in content["options"]
    }
    assert {name for name in names if name.startswith("AIRFLOW__")} - known == set()


def test_airflow_knows_every_command_also_those_of_healthchecks() -> None:
    from airflow.cli.cli_parser import get_parser

    commands = [SERVICES[name]["command"] for name in COMPONENTS if name != "init"]
    checks = [service["healthcheck"]["test"] for service in SERVICES.values() if "healthcheck" in service]
    commands += [shlex.split(check[1])[1:] for check in checks if check[0] == "CMD-SHELL"]
    assert len(commands) == 6
    parser = get_parser()
    for command in commands:
        assert callable(parser.parse_args(command).func), command


def test_healthchecks_ask_where_airflow_listens_by_default() -> None:
    from airflow.configuration import conf

    for component, (section, option) in {
        "api-server": ("api", "port"),
        "scheduler": ("scheduler", "scheduler_health_check_server_port"),
    }.items():
        port = conf.getint(section, option)
        assert SERVICES[component]["healthcheck"]["test"][-1].startswith(f"http://localhost:{port}/"), component


def test_bellwether_knows_the_command_of_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    from bellwether.cli import main, simulate

    asked: list[Any] = []
    monkeypatch.setattr(simulate, "run", lambda args, _config: asked.append(args) or 0)
    simulator = SERVICES["simulator"]
    assert simulator["entrypoint"] == ["bellwether"]
    assert main.main(simulator["command"]) == 0
    [args] = asked
    assert (args.generate, args.port) == (True, 8765)
