"""What deciding about an incident takes, from the report to what is to be sent: with fifty open, and in a storm.

Nothing is sent: how long a sink takes is its own.
"""

import tempfile
import time
from collections.abc import Callable
from datetime import date
from statistics import quantiles

from bellwether.calendar import get_calendar
from bellwether.config import Alerts
from bellwether.incidents.board import claim, tell
from bellwether.incidents.ledger import report
from bellwether.lake import Lake
from bellwether.monitoring.alerts import Delivery, Message
from tests.bench import BenchRow
from tests.incidents import found

_MOST_MS = 50.0
_TURNS = 60


def run() -> list[BenchRow]:
    """Measure the 95th percentile of a decision, its writes synced to disk."""
    sessions = get_calendar().sessions(date(2025, 3, 3), date(2025, 9, 30))
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(folder, simulated=True)
        for session in sessions[:50]:
            report(lake, found(session=session))
        tell(lake, Alerts(), _send, is_sweep=True)

        def again(turn: int) -> None:
            report(lake, found(session=sessions[turn % 50], failed=2 + turn))
            claim(lake, Alerts(), is_sweep=False)

        def opened(turn: int) -> None:
            report(lake, found("indices", session=sessions[50 + turn]))
            claim(lake, Alerts(), is_sweep=False)

        return [_row("one of 50 is reported again", again), _row("another opens beside 50 to 110", opened)]


def _row(name: str, decide: Callable[[int], None]) -> BenchRow:
    taken_ms = []
    for turn in range(_TURNS):
        started_s = time.perf_counter()
        decide(turn)
        taken_ms.append(1000 * (time.perf_counter() - started_s))
    slow_ms = quantiles(taken_ms, n=20)[-1]
    return BenchRow(f"incident decision, {name} (p95)", slow_ms, _MOST_MS, "ms", slow_ms < _MOST_MS)


def _send(message: Message, only: tuple[str, ...]) -> Delivery:
    return Delivery("sent")
