"""Real Airflows for the end-to-end tests: started once per module, stopped whatever happens, logs shown on failure."""

import json
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from bellwether.localstack import LocalStack
from bellwether.localstack.processes import tail
from bellwether.simulator.faults import Fault, FaultPlan
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.records import Market
from bellwether.simulator.server import SimulatorConfig, running
from tests.e2e.browser import AirflowUi, logged_in
from tests.e2e.support import CONSUMER, KEY, PRODUCER, UNIVERSE, Producers, prepare_home
from tests.sink import Mailbox, Sink, running_mailbox, running_sink

_running: list[LocalStack] = []


@pytest.fixture(scope="module")
def start_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalStack]]:
    """Return a function that starts a `LocalStack` with its keywords, in a home of its own on free ports.

    `lake` is `<home>/lake` unless given. The stack runs until the module's tests are done.
    """
    with ExitStack() as stacks:

        def start(**options: object) -> LocalStack:
            home = tmp_path_factory.mktemp("airflow")
            options.setdefault("lake", home / "lake")
            stack = stacks.enter_context(LocalStack(home, **options))
            _running.append(stack)
            stacks.callback(_running.remove, stack)
            return stack

        yield start


@pytest.fixture(scope="module")
def start_producers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Producers]]:
    """Return `start(market, universe, faults=(), **settings)`: a stack that captures a universe from a simulator.

    `universe` is what `sources.yaml` may say, a list or a rule; `faults` are those the simulator begins with.

    The project's DAGs run in it, the simulator in the test's own process; `settings` are
    further environment variables. `equities_daily` is unpaused, so the run of the last completed session starts.
    """
    with ExitStack() as stacks:

        def start(market: Market, universe: object, faults: Sequence[Fault] = (), **settings: str) -> Producers:
            simulated = SimulatorConfig(market=market, faults=FaultPlan(faults))
            return _start_producers(stacks, tmp_path_factory, simulated, universe, **settings)

        yield start


@pytest.fixture(scope="session")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Producers]:
    """Return a stack for all that people do by hand: two batches, and what fails for good does so within seconds.

    Its simulator accepts one key only.
    """
    simulated = SimulatorConfig(market=GeneratedMarket(seed=7, tickers=UNIVERSE), keys=frozenset({KEY}))
    with ExitStack() as stacks:
        yield _start_producers(
            stacks,
            tmp_path_factory,
            simulated,
            UNIVERSE,
            BELLWETHER__INGEST__BATCH_TICKERS="2",
            BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S="0",
            BELLWETHER__RETRY_POLICY__DEFAULT__AIRFLOW_RETRIES="0",
            BELLWETHER__RETRY_POLICY__PATIENCE_S="1",
        )


@pytest.fixture(scope="session")
def mailbox() -> Iterator[Mailbox]:
    """Return where the mails to people arrive."""
    with running_mailbox() as mailbox:
        yield mailbox


@pytest.fixture(scope="session")
def sink(operated: Producers, mailbox: Mailbox) -> Iterator[Sink]:
    """Have the Connection `alerts`, stored as a user stores it, list a dead sink, a webhook and a mailbox."""
    # Nobody listens on port 9; the rest of the address is secret.
    dead = "json://user:open-sesame@127.0.0.1:9/open-sesame?cto=1&rto=1"
    with running_sink() as sink:
        config = [{"path": dead}, {"path": sink.address}, {"path": mailbox.address}]
        body = {"connection_id": "alerts", "conn_type": "apprise", "extra": json.dumps({"config": config})}
        operated.api.request("POST", "connections", body)
        yield sink


def _start_producers(
    stacks: ExitStack,
    folders: pytest.TempPathFactory,
    simulated: SimulatorConfig,
    universe: object,
    **settings: str,
) -> Producers:
    home = folders.mktemp("airflow")
    simulator = stacks.enter_context(running(simulated))
    env = prepare_home(home) | settings
    env["BELLWETHER__SOURCES__EQUITIES__UNIVERSE"] = json.dumps(universe)
    stack = LocalStack(home, lake=home / "lake", extra_dags=home / "dags", env=env)
    stacks.enter_context(stack)
    _running.append(stack)
    stacks.callback(_running.remove, stack)
    stack.api.wait_for_dags([PRODUCER, CONSUMER])
    producers = Producers(stack, simulator)
    producers.connect()
    stack.api.set_paused(PRODUCER, paused=False)
    return producers


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of an installed Chromium; nothing is downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(names)} is on PATH")
    return path


@pytest.fixture(scope="module")
def ui(chromium: str, operated: Producers) -> Iterator[AirflowUi]:
    """Return the pages of `operated`, logged in.

    A module's own: as long as the browser is open, its event loop counts as running in this thread.
    """
    with logged_in(chromium, operated.stack.state) as pages:
        yield pages


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of all components' logs with a test that failed."""
    report = yield
    if report.failed:
        for stack in _running:
            for record in stack.state.processes:
                report.sections.append((f"{record.name} log", tail(Path(record.log))))
    return report
