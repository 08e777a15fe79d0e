"""Telling people of what goes on and brings nothing, which must not end it."""

from datetime import date
from typing import TYPE_CHECKING

from bellwether.config import Config
from bellwether_airflow.notifiers.reporting import report

if TYPE_CHECKING:
    from bellwether.monitoring.alerts import Message
    from bellwether.streaming.lease import Heartbeat


def warn_of_stall(dataset: str, session: date, heartbeat: "Heartbeat", config: Config, dag_id: str) -> None:
    """Report a stream that has stalled; whatever goes wrong stands in the log and goes no further."""
    from bellwether.monitoring.alerts import compose_stall
    from bellwether.streaming.live import live

    minutes = config.settings.streaming.stalled_after_min
    message = compose_stall(dataset, session, heartbeat.state, heartbeat.covered_utc, minutes)
    warn(message, live(dataset), session, dag_id)


def warn(message: "Message", dataset: str, session: date, dag_id: str) -> None:
    """Report that nothing comes of a dataset any more, though its task goes on."""
    from bellwether.incidents.found import of_stall

    report(lambda _lake, _config: [of_stall(message, dataset, session, dag_id)], message, dag_id, most=1)
