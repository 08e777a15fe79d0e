"""Loads in the scheduler what nearly every task needs, so that tasks begin with it.

LocalExecutor's workers are forks of the scheduler, and tasks are forks of those: what the scheduler has imported
costs a task nothing. Without it the calendar, the vendor's client and Great Expectations are imported anew by each
task, which is most of what a short task costs (tests/bench/bench_airflow.py has the figures). Other components, DAG
parsing and executors that do not fork from the scheduler are left as they are. Nothing here runs when it is imported.
"""

import importlib
import sys

from airflow.listeners import hookimpl

_MODULES = (
    "great_expectations",
    "bellwether.ingest.finish",
    "bellwether.consolidate.build",
    "bellwether.monitoring.tries",
    "bellwether_airflow.hooks.polygon",
    "polygon",
)


@hookimpl
def on_starting(component: object) -> None:
    """Import the modules if this process is the scheduler; Airflow calls it before the executor starts.

    An import that fails is logged by Airflow, and met again by the task that needs it.
    """
    # Airflow tells the hook of the job before the job knows its own type; the command line knows.
    if sys.argv[1:2] != ["scheduler"]:
        return
    for name in _MODULES:
        importlib.import_module(name)
    from bellwether.calendar import get_calendar  # noqa: PLC0415 - not at parse time

    get_calendar()
