"""The local stack itself, on a real Airflow."""

import os
import signal
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from bellwether.localstack import AlreadyRunning, ComponentEnded, LocalStack, stop
from bellwether.localstack.processes import is_running
from tests.e2e.support import wait_until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def stack(start_stack: Callable[..., LocalStack], tmp_path_factory: pytest.TempPathFactory) -> LocalStack:
    """Return a stack without DAGs; what runs, clears and logs of others are seen everywhere else."""
    return start_stack(dags_folder=tmp_path_factory.mktemp("dags"), simulator=["--generate", "--tickers", "SPY"])


def test_pools_of_the_project_are_there(stack: LocalStack) -> None:
    assert b'"vendor_requests"' in stack.api.request("GET", "pools")


def test_second_start_says_where_it_runs(stack: LocalStack) -> None:
    with pytest.raises(AlreadyRunning, match=stack.state.url):
        LocalStack(stack.home).start()


def test_component_that_dies_later_is_named_to_whoever_watches(stack: LocalStack) -> None:
    stack.ensure_complete()
    [triggerer] = [record for record in stack.state.processes if record.name == "triggerer"]
    os.kill(triggerer.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(triggerer), "SIGKILL ended nothing")
    with pytest.raises(ComponentEnded, match="triggerer ended by itself"):
        stack.ensure_complete()


def test_stop_from_elsewhere_ends_everything_and_frees_the_ports(stack: LocalStack) -> None:
    stopped = stop(stack.home)
    assert stopped is not None
    assert len(stopped.processes) == 5
    assert not stack.state.remains()
    for url in (stack.state.url, stack.state.simulator_url):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", urlsplit(url).port)) != 0
    assert stop(stack.home) is None
