"""Real Airflows for the end-to-end tests: started once per module, stopped whatever happens, logs shown on failure."""

import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bellwether.localstack import LocalStack
from bellwether.localstack.processes import tail

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


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of an installed Chromium; nothing is downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(names)} is on PATH")
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of all components' logs with a test that failed."""
    report = yield
    if report.failed:
        for stack in _running:
            for record in stack.state.processes:
                report.sections.append((f"{record.name} log", tail(Path(record.log))))
    return report
