"""The environment variables that make an Airflow local, isolated and quick to start.

Pure: from values to a dictionary. Connections are handed over as `AIRFLOW_CONN_*` JSON, the same form that a
deployment or the command line uses.
"""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bellwether.localstack.state import write_private

_STREAMS = 3  # as many as the pool of that name has slots

USERNAME = "admin"
# A foreign AIRFLOW__ variable could point this instance at somebody's database. Connections and variables may pass.
_DROPPED = ("AIRFLOW__", "AIRFLOW_HOME", "AIRFLOW_CONFIG", "PYTHONDONTWRITEBYTECODE")
_LOOPBACK = "127.0.0.1,localhost"
_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


class Secrets(msgspec.Struct, frozen=True):
    """What a stack generates once and keeps: sessions and stored Connections outlive a restart."""

    password: str
    fernet_key: str
    jwt_secret: str


class Vendor(msgspec.Struct, frozen=True):
    """Where `polygon_default` points.

    Attributes
    ----------
    url
        Base URL of the REST API.
    key
        API key.
    environment
        `simulated` or `production`; a lake holds one of them.
    """

    url: str
    key: str
    environment: str = "simulated"


def project_root() -> Path:
    """Return the checkout this package is installed from: the folder of `dags`, `plugins` and `config`."""
    return Path(__file__).resolve().parents[3]


def load_secrets(home: Path) -> Secrets:
    """Return the stack's secrets, generated at the first call and kept readable for their owner only.

    SimpleAuthManager's file of passwords is written beside them.
    """
    path = home / "secrets.json"
    if path.exists():
        kept = msgspec.json.decode(path.read_bytes(), type=Secrets)
    else:
        kept = Secrets(
            password=secrets.token_urlsafe(12),
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            jwt_secret=secrets.token_urlsafe(64),
        )
        home.mkdir(parents=True, exist_ok=True)
        write_private(path, msgspec.json.encode(kept))
    write_private(_passwords(home), json.dumps({USERNAME: kept.password}).encode())
    return kept


def connections(vendor: Vendor | None, lake: str | None) -> dict[str, str]:
    """Return the `AIRFLOW_CONN_*` variables of a vendor and a lake."""
    found: dict[str, object] = {}
    if vendor:
        found["AIRFLOW_CONN_POLYGON_DEFAULT"] = {
            "conn_type": "polygon",
            "host": vendor.url,
            "password": vendor.key,
            "extra": {"environment": vendor.environment, "sdk": "polygon"},
        }
    if lake:
        found["AIRFLOW_CONN_LAKE_DEFAULT"] = {"conn_type": "fs", "extra": {"path": lake}}
    return {name: json.dumps(value) for name, value in found.items()}


def own_api(port: int, kept: Secrets) -> dict[str, str]:
    """Return the `AIRFLOW_CONN_*` variable of the stack's own REST API, through which DAGs start runs of others."""
    connection = {"conn_type": "http", "host": "127.0.0.1", "port": port, "login": USERNAME, "password": kept.password}
    return {"AIRFLOW_CONN_AIRFLOW_API": json.dumps(connection)}


def api_servers_own(home: Path) -> dict[str, str]:
    """Return what of the environment is different for the api-server.

    Its event loop writes the log of actions itself (`log_action`), and waits for the database until whoever locked it
    is done: another request of the same server, which needs the event loop to end. Both wait until the first gives up,
    and is asked again. Tasks give an answer 5 s, and themselves up after some.
    """
    return {_DATABASE: _database(home, patience_s=3)}


def airflow_environment(
    *, home: Path, port: int, dag_bundles: Mapping[str, Path], kept: Secrets, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of every Airflow process of one stack.

    Parameters
    ----------
    home
        AIRFLOW_HOME: configuration, database and logs.
    port
        Port of the api-server on 127.0.0.1.
    dag_bundles
        DAG folders by bundle name.
    kept
        The stack's secrets.
    inherited
        The environment to start from; another Airflow's settings in it are dropped.
    """
    url = f"http://127.0.0.1:{port}"
    bundles = [
        {
            "name": name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(path)},
        }
        for name, path in dag_bundles.items()
    ]
    return {
        **{name: value for name, value in inherited.items() if not name.startswith(_DROPPED)},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": kept.jwt_secret,
        "AIRFLOW__API_AUTH__JWT_SECRET": kept.jwt_secret,
        "AIRFLOW__CORE__DAGS_FOLDER": str(next(iter(dag_bundles.values()))),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": kept.fernet_key,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # LocalExecutor starts this many workers at once, whether there is work for them or not. Streams occupy theirs
        # from morning to evening.
        "AIRFLOW__CORE__PARALLELISM": str(min(8, 2 * (os.cpu_count() or 1)) + _STREAMS),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(project_root() / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(home)),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        # A DAG file that was just added or changed shows up within seconds instead of five minutes; to parse all the
        # others over and over, as often as Airflow does by default, keeps half a core busy.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        # By default whoever finds the database locked for 5 s gives up, and a component that starts ends by that.
        _DATABASE: _database(home, patience_s=30),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        # With the default of 3 an api-server that is away for a minute ends every task; 10 bear about three minutes.
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "10",
        # Also how long a supervisor may oversleep the end of its task: with the default, some tasks take 5 s longer.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "BELLWETHER_CONFIG_DIR": inherited.get("BELLWETHER_CONFIG_DIR", str(project_root() / "config")),
        # Task processes call the api-server by HTTP; a proxy meant for the outside must not get in between.
        "NO_PROXY": _LOOPBACK,
        "no_proxy": _LOOPBACK,
    }


def _database(home: Path, patience_s: int) -> str:
    return f"sqlite:///{home}/airflow.db?timeout={patience_s}"


def _passwords(home: Path) -> Path:
    return home / "passwords.json"
