"""A whole local Airflow, started and stopped from one place.

`make up`, `make demo` and the end-to-end tests run the same thing: api-server, scheduler, DAG processor and
triggerer over a folder of their own, on loopback, with SQLite, and the simulator beside them. What a DAG does
is no business of this room; it knows Airflow only as processes, environment variables and a REST API.
"""

from bellwether.localstack.stack import AlreadyRunning, ComponentEnded, LocalStack, StoppedElsewhere, stop
from bellwether.localstack.state import StackState, StackStateFile

__all__ = [
    "AlreadyRunning",
    "ComponentEnded",
    "LocalStack",
    "StackState",
    "StackStateFile",
    "StoppedElsewhere",
    "stop",
]
