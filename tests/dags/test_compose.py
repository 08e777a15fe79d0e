"""The settings of Airflow in docker-compose.yaml and in the local stack: Airflow tells of none that is misspelt."""

from pathlib import Path

import pytest
import yaml

from bellwether.localstack.environment import Secrets, airflow_environment

REPOSITORY = Path(__file__).parents[2]


def composed() -> list[str]:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())["services"]
    return [name for service in services.values() for name in service["environment"]]


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
