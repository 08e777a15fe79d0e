import json
import stat
from pathlib import Path

import pytest

from bellwether.localstack.environment import (
    Secrets,
    Vendor,
    airflow_environment,
    api_servers_own,
    connections,
    load_secrets,
    own_api,
)

KEPT = Secrets("word", "fernet", "jwt")


def environment(inherited: dict[str, str]) -> dict[str, str]:
    return airflow_environment(
        home=Path("/home/stack"),
        port=8123,
        dag_bundles={"dags-folder": Path("/dags"), "extra": Path("/more")},
        kept=KEPT,
        inherited=inherited,
    )


def test_settings_of_another_airflow_do_not_get_through() -> None:
    found = environment(
        {
            "AIRFLOW_HOME": "/elsewhere",
            "AIRFLOW_CONFIG": "/elsewhere/airflow.cfg",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://production",
            "AIRFLOW__CELERY__BROKER_URL": "redis://production",
        }
    )
    assert found["AIRFLOW_HOME"] == "/home/stack"
    assert found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "sqlite:////home/stack/airflow.db?timeout=30"
    assert "AIRFLOW_CONFIG" not in found
    assert "AIRFLOW__CELERY__BROKER_URL" not in found


def test_an_api_server_that_waits_for_itself_gives_up_before_tasks_do() -> None:
    assert api_servers_own(Path("/home/stack")) == {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////home/stack/airflow.db?timeout=3"
    }


def test_connections_and_everything_else_get_through() -> None:
    found = environment({"AIRFLOW_CONN_ALERTS": "{}", "PATH": "/bin", "BELLWETHER_CONFIG_DIR": "/config"})
    assert found["AIRFLOW_CONN_ALERTS"] == "{}"
    assert found["PATH"] == "/bin"
    assert found["BELLWETHER_CONFIG_DIR"] == "/config"


def test_everything_stays_on_loopback_and_off_proxies() -> None:
    found = environment({"HTTP_PROXY": "http://proxy", "no_proxy": "nothing"})
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert "127.0.0.1" in found["NO_PROXY"]
    assert "127.0.0.1" in found["no_proxy"]


def test_imports_are_compiled_once_even_where_the_shell_forbids_it() -> None:
    assert "PYTHONDONTWRITEBYTECODE" not in environment({"PYTHONDONTWRITEBYTECODE": "1"})


def test_each_dag_folder_is_a_bundle() -> None:
    bundles = json.loads(environment({})["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert {bundle["name"]: bundle["kwargs"]["path"] for bundle in bundles} == {
        "dags-folder": "/dags",
        "extra": "/more",
    }


def test_executor_has_two_slots_per_core_up_to_eight_and_those_of_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = json.loads((Path(__file__).parents[3] / "config" / "pools.json").read_text())
    assert pools["streams"]["slots"] == 3
    for cores, slots in ((1, "5"), (2, "7"), (64, "11"), (None, "5")):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert environment({})["AIRFLOW__CORE__PARALLELISM"] == slots


def test_secrets_are_generated_once_and_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = load_secrets(home)
    assert load_secrets(home) == first
    assert load_secrets(tmp_path / "other").password != first.password
    for name in ("secrets.json", "passwords.json"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    assert json.loads((home / "passwords.json").read_text()) == {"admin": first.password}


def test_connections_are_airflows_json_form() -> None:
    found = connections(Vendor(url="http://127.0.0.1:9", key="k"), "/lake")
    polygon = json.loads(found["AIRFLOW_CONN_POLYGON_DEFAULT"])
    assert (polygon["conn_type"], polygon["host"], polygon["password"]) == ("polygon", "http://127.0.0.1:9", "k")
    assert polygon["extra"] == {"environment": "simulated", "sdk": "polygon"}
    assert json.loads(found["AIRFLOW_CONN_LAKE_DEFAULT"])["extra"] == {"path": "/lake"}


def test_without_vendor_and_lake_the_connections_are_left_alone() -> None:
    assert connections(None, None) == {}


def test_dags_reach_the_stacks_own_api_as_its_user(tmp_path: Path) -> None:
    kept = load_secrets(tmp_path)
    connection = json.loads(own_api(8080, kept)["AIRFLOW_CONN_AIRFLOW_API"])
    assert connection == {
        "conn_type": "http",
        "host": "127.0.0.1",
        "port": 8080,
        "login": "admin",
        "password": kept.password,
    }
