"""docker-compose.yaml, Dockerfile and what they run, checked without an engine: references, secrets, Connections."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from bellwether.cli.options import vendor_access
from bellwether.config import Config
from bellwether.connections import from_environment
from bellwether.lake.location import location_of

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docker-compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW = ("init", "api-server", "scheduler", "dag-processor", "triggerer")
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()

_VARIABLE = re.compile(r"\$\{(\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}")


def filled_in(text: str, env: Mapping[str, str]) -> str:
    """Return a text as Compose fills it in; one without a value or default is a `KeyError`."""
    return _VARIABLE.sub(
        lambda found: env.get(found[1]) or (found["default"] if found["default"] is not None else env[found[1]]), text
    )


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    """Return what `tools/compose-env.sh` writes."""
    done = subprocess.run(["sh", "tools/compose-env.sh"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def environment(service: str, env: Mapping[str, str]) -> dict[str, str]:
    return {name: filled_in(value, env) for name, value in SERVICES[service]["environment"].items()}


def test_every_service_is_watched_and_comes_back_by_itself_but_the_one_that_prepares() -> None:
    for name, service in SERVICES.items():
        one_shot = name == "init"
        assert ("healthcheck" in service, service["restart"] == "unless-stopped") == (not one_shot, not one_shot), name


def test_services_wait_for_what_exists_and_can_come_true() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            assert condition in ("service_started", "service_healthy", "service_completed_successfully"), name
            assert condition != "service_healthy" or "healthcheck" in SERVICES[other], (name, other)
            assert condition != "service_completed_successfully" or SERVICES[other]["restart"] == "no", (name, other)
    # Nothing that uses the database starts before it is up to date.
    assert all("init" in SERVICES[name]["depends_on"] for name in AIRFLOW[1:])


def test_all_components_of_airflow_are_there_each_with_its_command() -> None:
    assert [SERVICES[name]["command"][0] for name in AIRFLOW[1:]] == list(AIRFLOW[1:])
    assert {SERVICES[name]["image"] for name in AIRFLOW} == {"bellwether:local"}


def test_ports_are_published_on_loopback_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_volumes_are_declared_and_used() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_no_secret_stands_in_the_file_and_each_comes_from_the_script(env: dict[str, str]) -> None:
    asked = {found[1] for found in re.finditer(r"\$\{(\w+):\?", TEXT)}
    assert asked == set(env)
    for name, value in {**environment("init", env), **environment("postgres", env)}.items():
        written = SERVICES["init" if name.startswith(("AIRFLOW", "BELLWETHER", "ADMIN")) else "postgres"][
            "environment"
        ][name]
        if re.search("PASSWORD|KEY|SECRET", name) and not name.endswith("_FILE"):
            assert re.search(r"\$\{\w+:\?", written), name
        assert value, name


def test_secrets_are_made_anew_each_time_and_fit_where_they_go(env: dict[str, str]) -> None:
    Fernet(env["FERNET_KEY"].encode())
    assert len(env["JWT_SECRET"]) >= 64  # fewer, and PyJWT warns at every token
    # They stand in a URL, in JSON and in a file that Compose reads.
    assert all(re.fullmatch(r"[\w-]+=*", value) for value in env.values())
    again = subprocess.run(["sh", "tools/compose-env.sh"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert not [value for value in env.values() if value in again.stdout]


def test_the_secrets_file_is_never_committed_nor_copied_into_the_image() -> None:
    assert ".env" in (REPOSITORY / ".gitignore").read_text().splitlines()
    taken, *kept = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[0] != "#"]
    assert taken == "*"
    assert not [line for line in kept if line.startswith("!.")]


def test_all_components_share_one_environment(env: dict[str, str]) -> None:
    shared = environment("scheduler", env)
    assert all(environment(name, env) == shared for name in AIRFLOW[1:])
    assert environment("init", env) == shared | {"ADMIN_PASSWORD": env["ADMIN_PASSWORD"]}


def test_connections_are_what_bellwether_reads_by_default_the_simulator_with_a_lake_of_its_own(
    env: dict[str, str],
) -> None:
    variables = environment("scheduler", env)
    access = vendor_access(None, variables)
    port = SERVICES["simulator"]["command"][-1]
    assert (access.url, access.simulated, access.requests_per_minute) == (f"http://127.0.0.1:{port}", True, None)
    # It listens on loopback alone; the tasks run in the scheduler's container.
    assert SERVICES["simulator"]["network_mode"] == "service:scheduler"
    found = from_environment("lake_default", variables)
    assert found is not None
    assert location_of(found).root == "/var/lib/bellwether/lake-simulated"
    api = json.loads(variables["AIRFLOW_CONN_AIRFLOW_API"])
    assert (api["host"], api["login"], api["password"]) == ("api-server", "admin", env["ADMIN_PASSWORD"])


def test_the_real_vendor_is_a_matter_of_the_secrets_file_alone(env: dict[str, str]) -> None:
    offered = subprocess.run(["sh", "tools/compose-env.sh"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    commented = [line[1:] for line in offered.stdout.splitlines() if line.startswith("#") and "=" in line]
    variables = environment(
        "scheduler", env | dict(line.split("=", 1) for line in commented) | {"POLYGON_API_KEY": "k"}
    )
    access = vendor_access(None, variables)
    assert (access.url, access.simulated, access.requests_per_minute) == ("https://api.polygon.io", False, 5)
    found = from_environment("lake_default", variables)
    assert found is not None
    assert location_of(found).root == "/var/lib/bellwether/lake-production"


def test_bellwethers_own_settings_are_ones_it_knows(env: dict[str, str], tmp_path: Path) -> None:
    assert Config.load(tmp_path, environment("scheduler", env)).settings.limits.folder == "/var/lib/bellwether/limits"


# Stands for Airflow's command: says what it was asked, exports the pools there are, keeps what it is to import.
AIRFLOW_STUB = """\
#!/bin/sh
echo "$*" | sed "s|/.*/||" >>"$SCENE/asked"
case "$1 $2" in
"pools export") cp "$SCENE/present.json" "$3" ;;
"pools import") cp "$3" "$SCENE/imported.json" ;;
"db migrate") exit "${MIGRATION:-0}" ;;
esac
"""


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs the script of `init` with an Airflow that has the pools of `present.json`."""
    (tmp_path / "airflow").write_text(AIRFLOW_STUB)
    (tmp_path / "airflow").chmod(0o755)

    def run(**further: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {
            "ADMIN_PASSWORD": "word",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(tmp_path / "passwords.json"),
            "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SCENE": str(tmp_path),
            "TMPDIR": str(tmp_path),
        }
        command = SERVICES["init"]["command"]
        return subprocess.run(command, cwd=REPOSITORY, env=env | further, capture_output=True, text=True, check=False)

    return run


def test_init_makes_the_lacking_pools_alone_and_a_password_for_its_owner(
    prepare: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    wanted = json.loads((REPOSITORY / "config" / "pools.json").read_text())
    present = {"default_pool": {"slots": 128}, "vendor_requests": {"slots": 3}}
    (tmp_path / "present.json").write_text(json.dumps(present))
    done = prepare()
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "asked").read_text().splitlines() == [
        "db migrate",
        "pools export present.json",
        "pools import lacking.json",
    ]
    imported = json.loads((tmp_path / "imported.json").read_text())
    assert imported == {name: pool for name, pool in wanted.items() if name != "vendor_requests"}
    passwords = tmp_path / "passwords.json"
    assert json.loads(passwords.read_text()) == {"admin": "word"}
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600


def test_init_fails_where_the_database_cannot_be_migrated(
    prepare: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert prepare(MIGRATION="1").returncode == 1
    assert (tmp_path / "asked").read_text() == "db migrate\n"


def test_the_image_is_of_the_versions_of_the_lock() -> None:
    [airflow] = re.findall(r"^apache-airflow==(\S+)", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    python = (REPOSITORY / ".python-version").read_text().strip()
    assert f"FROM apache/airflow:{airflow}-python{python}\n" in DOCKERFILE


def test_what_is_run_and_copied_exists_and_reaches_the_image() -> None:
    kept = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert [name for name in kept if not (REPOSITORY / name).exists()] == []
    scripts = [
        word for service in SERVICES.values() for word in service.get("command", []) if "/" in word and "tools" in word
    ]
    copied = re.findall(r"^COPY --chown=airflow:0 (\S+) ", DOCKERFILE, re.MULTILINE)
    for name in [*scripts, *(name for name in copied if name != ".")]:
        assert (REPOSITORY / name).exists(), name
        assert name.split("/")[0] in kept, name
    # What an editable installation of the project needs.
    assert {"pyproject.toml", "README.md", "LICENSE", "requirements.in", "include", "plugins", "config", "dags"} <= kept


def test_what_the_image_sets_and_compose_mounts_fits_together() -> None:
    folders = [volume.partition(":")[2] for volume in SERVICES["scheduler"]["volumes"]]
    made = re.search(r"install -d -o airflow -g 0 (.*)", DOCKERFILE)
    assert made is not None
    # A volume takes its owner from the image: root's where the image lacks the folder.
    assert {folder for folder in folders if not folder.startswith("/opt/airflow")} <= set(made[1].split())
