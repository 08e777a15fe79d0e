"""Telling people of a stream that has stalled, which must not end it."""

from datetime import date
from typing import TYPE_CHECKING

from bellwether.config import Config
from bellwether.logging import get_logger
from bellwether_airflow.notifiers.alert import tell

if TYPE_CHECKING:
    from bellwether.streaming.lease import Heartbeat

log = get_logger(__name__)


def warn_of_stall(dataset: str, session: date, heartbeat: "Heartbeat", config: Config, dag_id: str) -> None:
    """Send one message; whatever goes wrong stands in the log and goes no further."""
    from bellwether.monitoring.alerts import compose_stall

    minutes = config.settings.streaming.stalled_after_min
    try:
        tell(compose_stall(dataset, session, heartbeat.state, heartbeat.covered_utc, minutes), dag_id)
    except Exception:  # a message that is not delivered must not end the recording
        log.exception("the alert could not be sent")
