"""From whoever notices something to the incidents in the lake, and from there to people.

To be called by callbacks, and by tasks that go on: nothing here raises, and a task that reports waits no longer than
for one message.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bellwether.config import Config
from bellwether.logging import get_logger
from bellwether_airflow import connections
from bellwether_airflow.notifiers.channels import deliver, tell

if TYPE_CHECKING:
    from bellwether.incidents.incident import Report
    from bellwether.lake import Lake
    from bellwether.monitoring.alerts import Message

SWEEPER: Final = "ops_incidents"
"""The DAG that tells what others hold back, by its id."""

log = get_logger(__name__)


def report(
    made: "Callable[[Lake, Config], list[Report]]", otherwise: "Message", dag_id: str, *, most: int | None = None
) -> None:
    """Open or update the incidents of some reports, and tell of them unless that is to wait.

    Parameters
    ----------
    made
        Makes the reports.
    otherwise
        Sent where the lake cannot hold an incident: better told twice than never.
    most
        So many messages at most, where a task waits.
    """
    try:
        from bellwether.incidents import ledger

        lake, config = connections.lake(), Config.load()
        for each in made(lake, config):
            ledger.report(lake, each)
    except Exception:  # whatever keeps an incident from being written must not keep people from hearing
        log.exception("there is no incident of it, since the lake cannot be written")
        # It comes every few minutes, and whatever keeps it from working fails the others, too.
        if dag_id != SWEEPER:
            _send(otherwise, dag_id)
        return
    try:
        from bellwether.incidents import board

        board.tell(lake, config.alerts, deliver, most=most)
    except Exception:  # the next sweep tells of it
        log.exception("an incident could not be told of")


def _send(message: "Message", dag_id: str) -> None:
    try:
        tell(message, dag_id)
    except Exception:  # nothing may come of it
        log.exception("the alert could not be sent")
