"""What the scheduler loads for its tasks, and that nothing else loads it."""

import subprocess
import sys

import pytest

_PROBE = """
import sys
sys.argv = sys.argv[1:]
from bellwether_airflow import preload
before = "great_expectations" in sys.modules
preload.on_starting(component=None)
print(before, "great_expectations" in sys.modules, "exchange_calendars" in sys.modules)
"""


@pytest.mark.parametrize(
    ("command", "loaded"),
    [
        (["airflow", "scheduler", "--skip-serve-logs"], "False True True"),
        (["airflow", "dag-processor"], "False False False"),
    ],
)
def test_only_the_scheduler_loads_what_tasks_need(command: list[str], loaded: str) -> None:
    done = subprocess.run([sys.executable, "-c", _PROBE, *command], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == loaded


def test_airflow_calls_it_when_a_component_starts() -> None:
    from airflow.listeners.listener import get_listener_manager
    from airflow.plugins_manager import integrate_listener_plugins

    from bellwether_airflow import preload

    manager = get_listener_manager()
    integrate_listener_plugins(manager)
    assert manager.pm.is_registered(preload)
