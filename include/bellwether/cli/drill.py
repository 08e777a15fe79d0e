"""`bellwether drill`: break a stream on purpose, beside everything real, and see that it heals and who is told.

The same as the DAG `ops_drill`, but that messages are shown and not sent.
"""

import argparse
from datetime import date

from rich.console import Console

from bellwether.calendar import get_calendar
from bellwether.clock import SystemClock
from bellwether.config import Config
from bellwether.drill.names import DEFAULT, NAMES
from bellwether.drill.play import drill
from bellwether.drill.report import as_markdown
from bellwether.drill.request import Request
from bellwether.due import DUE
from bellwether.monitoring.alerts import Delivery, Message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--session", metavar="YYYY-MM-DD", help="the session replayed (default: the last completed)")
    parser.add_argument("--speed", type=_speed, default=120.0, metavar="N", help="times its speed (default 120)")
    parser.add_argument("--minutes", type=int, default=30, metavar="N", help="of it, at least (default 30)")
    parser.add_argument(
        "--faults",
        type=_names,
        default=DEFAULT,
        metavar="A,B",
        help=f"one after the other (default {','.join(DEFAULT)}): {', '.join(NAMES)}",
    )


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when everything healed and everybody was told, 1 when not.

    Raises
    ------
    ConfigError
        There is no such fault.
    DrillFailed
        The simulator or the recorder did not start.
    """
    console = Console(stderr=True)

    def show(message: Message) -> Delivery:
        console.print(f"ALERT {message.subject}\n{message.body}", style="yellow", highlight=False, markup=False)
        return Delivery("shown")

    request = Request(session=_session(args.session), speed=args.speed, minutes=args.minutes, faults=args.faults)
    report = drill(request, config, tell=show, on_step=lambda words: console.print(words, highlight=False))
    Console(soft_wrap=True).print(as_markdown(report), highlight=False, markup=False)
    return 1 if report.problems() else 0


def _session(text: str | None) -> date:
    calendar = get_calendar()
    return calendar.last_due(SystemClock().now(), DUE["equities"]) if text is None else calendar.parse(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _speed(text: str) -> float:
    speed = float(text)
    if not 1 <= speed <= 1000:
        msg = f"{text} is not from 1 to 1000"
        raise argparse.ArgumentTypeError(msg)
    return speed
