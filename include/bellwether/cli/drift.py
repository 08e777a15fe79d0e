"""`bellwether drift`: what the vendor sends otherwise than promised, and deciding about it."""

import argparse

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from bellwether.cli.options import add_lake, lake_location, user
from bellwether.config import Config
from bellwether.drift.approval import Settled, approve, reject
from bellwether.drift.ledger import find, known_changes
from bellwether.drift.report import page, publish_drift
from bellwether.ingest.release import release
from bellwether.lake import Lake
from bellwether.universe.spec import shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    listing = what.add_parser("list", help="every change, those that wait for a decision first")
    showing = what.add_parser("show", help="one change, and what approving it does to the contract")
    approving = what.add_parser("approve", help="let a change pass, and publish what waits for it from raw")
    rejecting = what.add_parser("reject", help="leave in quarantine what shows a change")
    for each in (showing, approving, rejecting):
        each.add_argument("change", metavar="CHANGE", help="its id, as `list` shows it")
    approving.add_argument(
        "--as-it-is", action="store_true", help="the values are what they should be: convert nothing, compare anew"
    )
    approving.add_argument("--reason", default="", help="why")
    rejecting.add_argument("--reason", required=True, help="why")
    for each in (listing, showing, approving, rejecting):
        add_lake(each)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when done, 1 when something that was approved could not be published."""
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    console = Console()
    if args.what == "list":
        console.print(_table(lake))
        return 0
    if args.what == "show":
        console.print(Markdown(page(lake, config, find(lake, args.change))))
        return 0
    lake = Lake.open(where.root, options=where.options, simulated=lake.simulated)  # proves that it can be written
    me = user()
    if args.what == "reject":
        settled = reject(lake, args.change, by=me, reason=args.reason)
        _say(console, settled, "rejected")
        publish_drift(lake, config, settled.known.sessions, run_id="bellwether drift")
        return 0
    settled = approve(lake, config, args.change, by=me, reason=args.reason, as_it_is=args.as_it_is)
    _say(console, settled, "approved")
    released = release(lake, config, settled)
    publish_drift(lake, config, settled.known.sessions, run_id="bellwether drift")
    for problem in released.problems:
        console.print(problem, style="red", highlight=False)
    sessions = shown(session.isoformat() for session in released.sessions) or "none"
    console.print(f"published anew from raw: {sessions}", highlight=False)
    return 1 if released.problems else 0


def _say(console: Console, settled: Settled, did: str) -> None:
    decision = settled.known.decision
    before = (
        ""
        if settled.news or decision is None
        else f" already, by {decision.by} at {decision.at_utc:%Y-%m-%d %H:%M} UTC"
    )
    as_version = "" if settled.version is None else f"; contract version {settled.version}"
    console.print(f"{settled.known.change_id}: {did}{before}{as_version}", highlight=False)


def _table(lake: Lake) -> Table:
    table = Table("change", "what", "state", "sessions")
    for known in sorted(known_changes(lake), key=lambda each: (each.state != "open", each.change_id)):
        sessions = shown(session.isoformat() for session in known.sessions)
        table.add_row(known.change_id, str(known.sightings[-1].change), known.state, sessions)
    return table
