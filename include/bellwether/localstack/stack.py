"""One local Airflow: migrate, start its four processes, wait until they are healthy, stop them.

    with LocalStack(home=tmp_path, lake=lake, polygon_url=simulator.url, polygon_key="local-key") as stack:
        stack.api.set_paused("equities_daily", paused=False)

Several may run side by side, each in its own home on its own port. Log servers stay off: tasks and api-server
share a disk, and those servers would listen on every interface.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from bellwether.airflow_api import AirflowApi
from bellwether.airflow_api.transport import ApiError
from bellwether.errors import BellwetherError
from bellwether.localstack.environment import (
    USERNAME,
    Vendor,
    airflow_environment,
    api_servers_own,
    connections,
    load_secrets,
    own_api,
    project_root,
)
from bellwether.localstack.processes import ProcessRecord, end_sessions, free_port, is_running, spawn, tail
from bellwether.localstack.simulator import SimulatorProcess
from bellwether.localstack.state import StackState, StackStateFile

_COMPONENTS: dict[str, tuple[str, ...]] = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
_HEALTHY = ("metadatabase", "scheduler", "triggerer", "dag_processor")
_START_TIMEOUT_S = 180.0
# A scheduler that is told to end waits for its tasks; they are told too, and have this long.
_GRACE_S = 6.0
_POLL_S = 0.25


class AlreadyRunning(BellwetherError):
    """The stack in this home runs already; `state` says where."""

    def __init__(self, state: StackState) -> None:
        self.state = state
        super().__init__(f"already running at {state.url}; `make down` stops it")


class ComponentEnded(BellwetherError):
    """A process of a running stack has ended by itself; the message ends with its log."""


class StoppedElsewhere(BellwetherError):
    """Another command has stopped the stack, or is about to."""


class LocalStack:
    """A local Airflow, and where wished the simulator beside it.

    Parameters
    ----------
    home
        Folder for configuration, database, logs and state (AIRFLOW_HOME). Kept between starts.
    lake
        Root of the lake; None leaves it to the configuration.
    polygon_url, polygon_key
        Where Connection `polygon_default` points, as a simulator. None leaves the Connection alone.
    simulator
        Arguments of `bellwether simulate`: starts one and points `polygon_default` at it.
    env
        Further environment variables of all Airflow processes, and so of the tasks.
    dags_folder, extra_dags
        Folder of DAGs, by default the project's, and a second one beside it (e.g. of test consumers).
    port
        Preferred port of UI and API; taken or 0 means any free one.
    """

    def __init__(  # noqa: PLR0913 - what there is to choose
        self,
        home: Path,
        *,
        lake: Path | str | None = None,
        polygon_url: str | None = None,
        polygon_key: str = "local-key",
        simulator: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        dags_folder: Path | None = None,
        extra_dags: Path | None = None,
        port: int = 0,
    ) -> None:
        self.home = home.resolve()
        self._state_file = StackStateFile(self.home)
        self._lake = str(lake) if lake else None
        self._vendor = Vendor(url=polygon_url, key=polygon_key) if polygon_url else None
        self._simulator = simulator
        self._env = dict(env or {})
        self._bundles = {"dags-folder": dags_folder or project_root() / "dags"}
        if extra_dags:
            self._bundles["extra"] = extra_dags
        self._port = port
        self.state: StackState
        self.api: AirflowApi

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return once it is healthy and the project's pools exist.

        Raises
        ------
        AlreadyRunning
            It runs already.
        BellwetherError
            A process did not come up; the message ends with its log. Nothing is left running.
        """
        with self._state_file.locked():
            self._clear_the_way()
            try:
                self._start()
            except BaseException:
                _end(self._state_file)
                raise

    def stop(self) -> None:
        """End every process of the stack; harmless when none lives."""
        stop(self.home)

    def ensure_complete(self) -> None:
        """Make sure that every process of the stack lives: who waits for runs would wait in vain without one.

        Raises
        ------
        ComponentEnded, StoppedElsewhere
            One has ended.
        """
        ended = next((record for record in self.state.processes if not is_running(record)), None)
        if ended is None:
            return
        recorded = self._state_file.read()
        if recorded is None or recorded.is_ending:
            message = f"the stack at {self.state.url} was stopped by another command"
            raise StoppedElsewhere(message)
        message = f"{ended.name} ended by itself; its log {ended.log} ends with:\n{tail(Path(ended.log))}"
        raise ComponentEnded(message)

    def _clear_the_way(self) -> None:
        state = self._state_file.read()
        if state and state.is_up():
            raise AlreadyRunning(state)
        if state:
            _end_processes(state.processes)

    def _start(self) -> None:
        kept = load_secrets(self.home)
        port = free_port(self._port)
        self.state = StackState(
            url=f"http://127.0.0.1:{port}", username=USERNAME, password=kept.password, lake=self._lake
        )
        simulator = self._start_simulator()
        environment = airflow_environment(
            home=self.home, port=port, dag_bundles=self._bundles, kept=kept, inherited=os.environ
        )
        environment |= own_api(port, kept) | self._env
        self._migrate(environment)
        if simulator:
            self._vendor = simulator.wait()
            self._remember(simulator_url=self._vendor.url)
        environment |= connections(self._vendor, self._lake)
        for name, options in _COMPONENTS.items():
            command = [_script("airflow"), name, *options]
            own = api_servers_own(self.home) if name == "api-server" else {}
            own = {variable: value for variable, value in own.items() if variable not in self._env}
            self._add(spawn(name, command, env=environment | own, cwd=project_root(), log=self._log(name)))
        self.api = AirflowApi(self.state.url, USERNAME, kept.password)
        self._wait_until_healthy()
        pools = project_root() / "config" / "pools.json"
        self.api.import_pools(json.loads(pools.read_text(encoding="utf-8")))

    def _start_simulator(self) -> SimulatorProcess | None:
        if self._simulator is None:
            return None
        started = SimulatorProcess(_script("bellwether"), self._simulator, self._log("simulator"))
        self._add(started.record)
        return started

    def _migrate(self, environment: Mapping[str, str]) -> None:
        log = self._log("db-migrate")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            done = subprocess.run(  # noqa: S603 - a fixed command
                [_script("airflow"), "db", "migrate"], env=environment, stdout=output, stderr=output, check=False
            )
        if done.returncode != 0:
            message = f"airflow db migrate failed; its log {log} ends with:\n{tail(log)}"
            raise BellwetherError(message)

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        health: dict[str, str] = {}
        while [health.get(name) for name in _HEALTHY] != ["healthy"] * len(_HEALTHY):
            self.ensure_complete()
            if time.monotonic() > deadline:
                raise BellwetherError(self._unhealthy(health))
            time.sleep(_POLL_S)
            try:
                health = self.api.health()
            except ApiError:
                health = {}

    def _unhealthy(self, health: Mapping[str, str]) -> str:
        failing = [name for name in _HEALTHY if health.get(name) != "healthy"]
        # Without any answer it is the api-server that is missing, and it reports for the others.
        component = failing[0].replace("_", "-") if health and failing[0] != "metadatabase" else "api-server"
        log = self._log(component)
        return f"not healthy after {_START_TIMEOUT_S:.0f} s: {', '.join(failing)}; {log} ends with:\n{tail(log)}"

    def _add(self, record: ProcessRecord) -> None:
        self._remember(processes=(*self.state.processes, record))

    def _remember(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
        self._state_file.write(self.state)

    def _log(self, name: str) -> Path:
        return self.home / "logs" / "stack" / f"{name}.log"


def stop(home: Path) -> StackState | None:
    """End every process of the stack in `home`, whoever started it.

    Returns
    -------
    StackState or None
        What was running, or None where nothing lived any more.
    """
    state_file = StackStateFile(home)
    if not state_file.path.exists():
        return None
    with state_file.locked():
        return _end(state_file)


def _end(state_file: StackStateFile) -> StackState | None:
    state = state_file.read()
    if state is None:
        return None
    lived = state.remains()
    # Who watches the stack must not take what is ended here for ended by itself.
    state_file.write(msgspec.structs.replace(state, is_ending=True))
    _end_processes(state.processes)
    state_file.clear()
    return state if lived else None


def _end_processes(records: Sequence[ProcessRecord]) -> None:
    # Told to end, a triggerer waits ten seconds for a runner that has ended already; it has nothing to finish.
    end_sessions([record for record in records if record.name == "triggerer"], grace_s=0.0)
    end_sessions(records, grace_s=_GRACE_S)


def _script(name: str) -> str:
    """Return a console script of this environment: `python -m` would put the working directory on `sys.path`."""
    return str(Path(sys.executable).with_name(name))
