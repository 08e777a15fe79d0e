"""Where messages go: to the entries of the Connection `alerts`, each of them on its own, all of them within seconds.

Nothing here may raise, and nobody waits longer than `delivery.timeout_s` of alerts.yaml: once for the route, once for
the others. An address holds secrets: of a sink only its place in the list and its scheme are ever logged.
"""

import json
import logging
import re
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from bellwether.clock import SystemClock
from bellwether.config import Alerts, Config
from bellwether.errors import ConfigError
from bellwether.logging import get_logger

if TYPE_CHECKING:
    from bellwether.monitoring.alerts import Delivery, Message

ALERTS_CONN_ID: Final = "alerts"

_ALL: Final = "*"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+]{0,20})://")
# They log hosts and paths, in which webhooks carry their secrets.
_TALKATIVE = ("apprise", "urllib3")

log = get_logger(__name__)
_clock = SystemClock()


@dataclass(frozen=True)
class _Sink:
    """An entry of the Connection."""

    number: int
    address: str
    tags: frozenset[str]

    @property
    def scheme(self) -> str:
        return found[1] if (found := _SCHEME.match(self.address)) else "unreadable"

    @property
    def name(self) -> str:
        return f"{self.number} ({self.scheme})"

    def hears(self, route: Collection[str]) -> bool:
        return not route or not self.tags or bool(self.tags.intersection(route))


def alert_settings() -> Alerts:
    """Return what alerts.yaml says; where it cannot be read, what sends everything."""
    try:
        return Config.load().alerts
    except ConfigError as error:
        log.error("the configuration is wrong, so every alert is sent", error=str(error))
        return Alerts()


def tell(message: "Message", dag_id: str) -> "Delivery":
    """Write a message that belongs to no incident to the log and, unless it is to be quiet, send it."""
    from bellwether.monitoring.alerts import Delivery, why_quiet

    log.error(f"ALERT {message.subject}\n{message.body}", severity=message.severity)
    quiet = why_quiet(message, alert_settings(), dag_id, _clock.now().date())
    if quiet:
        log.info("alert stays in the log", why=quiet)
        return Delivery(f"in the log only: {quiet}")
    return deliver(message)


def deliver(message: "Message", only: tuple[str, ...] = ()) -> "Delivery":
    """Send a message to the sinks of its severity's route, and to the others where none of those takes it.

    Parameters
    ----------
    only
        The sinks that refused it before, as its `Delivery` named them; none for all of the route.
    """
    from bellwether.monitoring.alerts import Delivery

    settings, sinks = alert_settings(), _known_sinks()
    if isinstance(sinks, Delivery):
        return sinks
    for logger in _TALKATIVE:
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    route = [sink for sink in sinks if sink.hears(getattr(settings.routes, message.severity))]
    asked = [sink for sink in sinks if sink.name in only] or route
    problems = _send_to(asked, message, settings.delivery.timeout_s)
    others = [sink for sink in sinks if sink not in route]
    if asked and len(problems) == len(asked) and others and not only:
        log.error("no sink of its route took the alert, so the others hear it", severity=message.severity)
        problems |= _send_to(others, message, settings.delivery.timeout_s)
    if problems:
        words = ", ".join(f"sink {name}: {problem}" for name, problem in problems.items())
        return Delivery(f"not taken by {words}", tuple(problems))
    return Delivery(f"sent to {len(asked)} sinks" if asked else "in the log only: `alerts` lists no sink")


def _known_sinks() -> "list[_Sink] | Delivery":
    """Return the entries of the Connection, or what becomes of every message where there are none to be had."""
    from bellwether.monitoring.alerts import Delivery

    try:
        return list(_sinks(BaseHook.get_connection(ALERTS_CONN_ID).extra_dejson))
    except AirflowNotFoundException:
        log.warning("there is no Connection for alerts, so this one stands in the log only", conn_id=ALERTS_CONN_ID)
        return Delivery("in the log only: there is no Connection `alerts`")
    except Exception as error:  # noqa: BLE001 - its text or trace might hold an address
        log.error("the config of the Connection for alerts is no list of paths", error=type(error).__name__)
        return Delivery("not sent: the config of the Connection `alerts` is no list of paths", (_ALL,))


def _sinks(extra: Mapping[str, Any]) -> Iterator[_Sink]:
    """Yield the entries of a Connection of type Apprise: `config` is an entry or a list of them, perhaps as text."""
    config = extra.get("config") or []
    config = json.loads(config) if isinstance(config, str) else config
    for number, entry in enumerate(config if isinstance(config, list) else [config], start=1):
        tags = entry.get("tag") or ()
        yield _Sink(number, str(entry["path"]), frozenset([tags] if isinstance(tags, str) else map(str, tags)))


def _send_to(sinks: Sequence[_Sink], message: "Message", timeout_s: float) -> dict[str, str]:
    """Send to all at once; return what went wrong, by the sink's name."""
    answers: dict[str, str] = {}

    def send(sink: _Sink) -> None:
        try:
            answers[sink.name] = "" if _send(sink.address, message) else "refused or not reached"
        except Exception as error:  # noqa: BLE001 - one dead sink must not keep the others from hearing
            answers[sink.name] = type(error).__name__

    # One that hangs is left behind: no process waits for a daemon thread to end.
    threads = [threading.Thread(target=send, args=(sink,), daemon=True) for sink in sinks]
    give_up_s = time.monotonic() + timeout_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, give_up_s - time.monotonic()))
    known = dict(answers)
    problems = {}
    for sink in sinks:
        if problem := known.get(sink.name, f"no answer within {timeout_s:g} s"):
            log.error("a sink did not take the alert", sink=sink.number, scheme=sink.scheme, problem=problem)
            problems[sink.name] = problem
    return problems


def _send(address: str, message: "Message") -> bool:
    from apprise import Apprise, NotifyType  # noqa: PLC0415 - takes a while to load

    sink = Apprise()
    kind = NotifyType.WARNING if message.severity == "warning" else NotifyType.FAILURE
    kind = NotifyType.SUCCESS if message.is_healing else kind
    return bool(sink.add(address) and sink.notify(title=message.subject, body=message.body, notify_type=kind))
