"""`bellwether workers`: which streams and backfills are at work on a lake, and ending one of them, wherever it runs."""

import argparse
import dataclasses
import time

from rich.console import Console
from rich.table import Table

from bellwether.cli.options import add_lake, lake_location, write_json
from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.lake import Lake
from bellwether.monitoring import workers
from bellwether.monitoring.workers import Worker

_WAITED_FOR_S = 60.0
_LOOK_EVERY_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="list | stop ID")
    listing = actions.add_parser("list", help="show what is at work")
    stopping = actions.add_parser("stop", help="have one write what has come and end")
    stopping.add_argument("id", metavar="ID", help="as `list` shows it, e.g. equities-2024-07-03")
    for action in (listing, stopping):
        add_lake(action)
        action.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 1 when what was to stop had not ended a minute later.

    Raises
    ------
    ConfigError
        Nothing of that name is at work.
    LeaseHeld
        Meanwhile another process does its work.
    LakeError
        The lake cannot be read, or the wish not be written.
    """
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    found = workers.workers(lake, config.settings.streaming)
    if args.action == "list":
        _show(found, as_json=args.json)
        return 0
    worker = next((each for each in found if each.id == args.id), None)
    if worker is None:
        names = ", ".join(each.id for each in found) or "nothing"
        msg = f"{args.id} is not at work on {lake.root}; there is: {names}"
        raise ConfigError(msg)
    has_ended, why = _stop(lake, worker)
    if args.json:
        write_json({"id": worker.id, "has_ended": has_ended, "why": why})
    else:
        Console(markup=False).print(f"{worker.id}: {why}", highlight=False)
    return 0 if has_ended else 1


def _stop(lake: Lake, worker: Worker) -> tuple[bool, str]:
    if worker.is_dead:
        return False, f"has not been heard of for {worker.age_s:.0f} s: nobody is there to stop"
    workers.stop(lake, worker, workers.whoever_asks())
    given_up_s = time.monotonic() + _WAITED_FOR_S
    while time.monotonic() < given_up_s:
        if workers.has_ended(lake, worker):
            return True, f"{worker.writer} has ended, with everything on disk"
        time.sleep(_LOOK_EVERY_S)
    return False, (
        f"{worker.writer} was asked and has not ended after {_WAITED_FOR_S:.0f} s: polling ends with its next round, a "
        "backfill after its batch; `bellwether workers list` shows whether it lives"
    )


def _show(found: list[Worker], *, as_json: bool) -> None:
    if as_json:
        for worker in found:
            write_json(dataclasses.asdict(worker) | {"condition": worker.condition})
        return
    if not found:
        Console(markup=False).print("nothing is at work")
        return
    table = Table()
    for name in ("id", "condition", "heartbeat", "state", "gaps", "writer"):
        table.add_column(name, no_wrap=name in {"id", "condition", "heartbeat"})
    for worker in found:
        age, gaps = f"{worker.age_s:.0f} s ago", str(worker.open_gaps) if worker.open_gaps else ""
        state = f"{worker.state}, told to stop by {worker.stop_by}" if worker.stop_by else worker.state
        table.add_row(worker.id, worker.condition, age, state, gaps, worker.writer)
    Console(markup=False).print(table, highlight=False)
