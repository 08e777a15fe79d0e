"""`bellwether verify`: published sessions built again from raw, gold from clean, and compared to the byte."""

import argparse
import dataclasses
from datetime import date

from rich.console import Console
from rich.table import Table

from bellwether.calendar import get_calendar
from bellwether.cli.options import add_lake, lake_location, write_json
from bellwether.config import Config
from bellwether.due import SAMPLED, VERIFIED_AT
from bellwether.errors import ConfigError
from bellwether.lake import Lake
from bellwether.verify.outcome import Outcome, State
from bellwether.verify.session import sample, verify

_STYLES = {State.EQUAL: "green", State.UNVERIFIABLE: "yellow", State.DIFFERENT: "red", State.DAMAGED: "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument(
        "--sessions",
        type=_sessions,
        metavar="YYYY-MM-DD,...",
        help=f"these (default: {SAMPLED} of all that are published, drawn by today's session)",
    )
    add_lake(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 1 when something published is not what its evidence comes to, else 0.

    Raises
    ------
    ConfigError
        There is nothing to verify.
    """
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    lake = Lake.open(where.root, options=where.options, simulated=lake.simulated)  # gold is built in its stages
    last = get_calendar().last_due(lake.clock.now(), VERIFIED_AT)
    sessions = args.sessions or sample(lake, last, SAMPLED)
    outcomes = [each for session in sessions for each in verify(lake, config, session)]
    if not outcomes:
        msg = "nothing is published that could be verified"
        raise ConfigError(msg)
    if args.json:
        write_json({"outcomes": [dataclasses.asdict(each) for each in outcomes]})
    else:
        _show(outcomes)
    return 1 if any(each.state.is_trouble for each in outcomes) else 0


def _show(outcomes: list[Outcome]) -> None:
    table = Table("session", "dataset", "state", "rows", "why")
    for each in outcomes:
        rows = "-" if each.rows is None else f"{each.rows:,}"
        table.add_row(str(each.session), each.dataset, each.state.value, rows, each.why, style=_STYLES[each.state])
    Console(markup=False).print(table, highlight=False)


def _sessions(text: str) -> list[date]:
    try:
        return sorted({get_calendar().parse(part.strip()) for part in text.split(",")})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
