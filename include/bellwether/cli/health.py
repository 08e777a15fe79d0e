"""`bellwether health`: how the last sessions and the running streams stand; its exit code tells it, too."""

import argparse
import dataclasses

from rich.console import Console
from rich.table import Table

from bellwether.calendar import get_calendar
from bellwether.cli.options import add_lake, add_session, lake_location, write_json
from bellwether.config import Config
from bellwether.due import LOOKED_AT, LOOKED_BACK
from bellwether.lake import Lake
from bellwether.monitoring import costs
from bellwether.monitoring.health import Health, Problem, as_table, look_back, problems
from bellwether.monitoring.workers import Worker, workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    add_session(parser, required=False, otherwise="the last whose sources are all due")
    parser.add_argument(
        "--sessions", type=_count, default=LOOKED_BACK, metavar="N", help=f"how many up to it (default {LOOKED_BACK})"
    )
    add_lake(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when all is well, 1 when something is unhealthy.

    Raises
    ------
    LakeError
        The lake cannot be read.
    """
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    last = args.session or get_calendar().last_due(lake.clock.now(), LOOKED_AT)
    health, at_work = look_back(lake, config, last, args.sessions), workers(lake, config.settings.streaming)
    found = problems(health, at_work)
    if args.json:
        _write_json(health, at_work, found)
    else:
        _show(health, at_work, found)
    return 1 if found else 0


def _write_json(health: Health, at_work: list[Worker], found: list[Problem]) -> None:
    told = {
        "is_healthy": not found,
        "session": health.session,
        "looked_utc": health.looked_utc,
        "problems": [dataclasses.asdict(each) for each in found],
        "datasets": as_table(health).to_pylist(),
        "performance": costs.as_json(health.performance) if health.performance else None,
        "workers": [dataclasses.asdict(each) | {"condition": each.condition} for each in at_work],
    }
    write_json(told)


def _show(health: Health, at_work: list[Worker], found: list[Problem]) -> None:
    console = Console(markup=False)
    fresh = Table(title=f"sessions {health.standings[0].session} to {health.session}")
    for name in ("dataset", "newest session", "published, UTC", "behind", "states"):
        fresh.add_column(name, no_wrap=name != "states")
    for each in health.fresh():
        manifest = each.newest.manifest if each.newest else None
        fresh.add_row(
            each.dataset + (" *" if each.is_required else ""),
            str(each.newest.session) if each.newest else "-",
            f"{manifest.published_utc:%Y-%m-%d %H:%M}" if manifest else "-",
            str(each.sessions_behind),
            each.states,
        )
    console.print(fresh, "* required", highlight=False)
    _show_performance(console, health)
    if at_work:
        names = ", ".join(f"{each.id} ({each.condition})" for each in at_work)
        console.print(f"at work: {names}", highlight=False)
    if not found:
        console.print("healthy", style="green")
        return
    lacking = Table(title="unhealthy", style="red")
    for name in ("session", "dataset", "state", "why"):
        lacking.add_column(name, no_wrap=name != "why")
    for problem in found:
        lacking.add_row(str(problem.session), problem.dataset, problem.state, problem.why)
    console.print(lacking, highlight=False)


def _show_performance(console: Console, health: Health) -> None:
    performance = health.performance
    if performance is None or not performance.costs:
        return
    cost = Table(title=f"what the tasks of {performance.session} cost")
    for name in ("dataset", "tries", "seconds", "vendor", "read", "write", "waits", "calls", "rows", "MB in", "MB out"):
        cost.add_column(name, no_wrap=True, justify="left" if name == "dataset" else "right")
    for each in performance.costs:
        cost.add_row(*costs.in_words(each))
    console.print(cost, highlight=False)
    for finding in performance.findings:
        if finding.recovered_utc is not None:
            what = f"{finding.session} {finding.dataset}: {finding.kind}, recovered: {finding.why}"
            console.print(what, highlight=False)


def _count(text: str) -> int:
    count = int(text) if text.isdigit() else 0
    if count < 1:
        msg = f"{text!r} is no number of sessions"
        raise argparse.ArgumentTypeError(msg)
    return count
