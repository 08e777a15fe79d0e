"""`bellwether incidents`: what is wrong and whether people were told, and having nothing told for a while."""

import argparse
from datetime import UTC, datetime, time, timedelta

import msgspec
from rich.console import Console
from rich.table import Table

from bellwether.calendar import NEW_YORK
from bellwether.cli.options import add_lake, add_session, lake_location, write_json
from bellwether.config import Config
from bellwether.incidents.decide import decide
from bellwether.incidents.incident import Incident
from bellwether.incidents.ledger import at_work, find, of_session
from bellwether.incidents.snooze import Scope, snooze, snoozes, unsnooze
from bellwether.lake import Lake
from bellwether.monitoring.workers import whoever_asks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    listing = what.add_parser("list", help="the incidents that are open, and what is snoozed")
    add_session(listing, required=False, otherwise="those that are open, of all sessions")
    listing.add_argument("--json", action="store_true", help="one JSON object")
    showing = what.add_parser("show", help="one incident, with all that happened to it")
    showing.add_argument("incident", metavar="ID", help="as `list` shows it")
    snoozing = what.add_parser("snooze", help="tell nothing of some incidents for a while")
    waking = what.add_parser("unsnooze", help="tell of them again")
    for each in (snoozing, waking):
        each.add_argument(
            "scope", metavar="SCOPE", help="an incident's id, DATASET, DATASET.SESSION or DATASET.*.CAUSE"
        )
    snoozing.add_argument("--reason", required=True, help="why nobody need be told")
    snoozing.add_argument(
        "--until",
        required=True,
        type=_instant,
        metavar="WHEN",
        help="YYYY-MM-DD, that day included, or YYYY-MM-DDTHH:MM; New York",
    )
    for each in (listing, showing, snoozing, waking):
        add_lake(each)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when done, 1 when there is no such incident or snooze.

    Raises
    ------
    ConfigError
        The scope names nothing, the reason is empty, or the end is past.
    LakeError
        The lake cannot be read or written.
    """
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    console = Console(markup=False, highlight=False)
    if args.what == "list":
        return _list(lake, config, console, args)
    if args.what == "show":
        return _show(lake, console, args.incident)
    lake = Lake.open(where.root, options=where.options, simulated=lake.simulated)  # proves that it can be written
    scope = Scope.parse(args.scope)
    if args.what == "unsnooze":
        was_there = unsnooze(lake, scope)
        console.print(f"{scope}: told again" if was_there else f"{scope}: was not snoozed")
        return 0 if was_there else 1
    made = snooze(lake, scope, reason=args.reason, by=whoever_asks(), until_utc=args.until)
    console.print(f"{scope}: snoozed until {made.until_utc:%Y-%m-%d %H:%M} UTC")
    return 0


def _list(lake: Lake, config: Config, console: Console, args: argparse.Namespace) -> int:
    asleep = snoozes(lake)
    if args.session:
        found = of_session(lake, args.session)
    else:
        found = [each for each in at_work(lake) if each.healed_utc is None]
    held = decide(found, asleep, (), config.alerts, lake.clock.now(), is_sweep=True).held
    if args.json:
        write_json({"incidents": [msgspec.to_builtins(each) for each in found], "held": held, "snoozes": asleep})
        return 0
    table = Table("incident", "severity", "state", "what", "told")
    for each in found:
        at = f"{each.told.at_utc:%Y-%m-%d %H:%M} UTC" if each.told else held.get(each.incident_id, "not yet")
        table.add_row(each.incident_id, each.severity, _state(each), each.last.subject, at)
    console.print(table if found else "no incident is open" if not args.session else "there was none")
    for snoozed in asleep:
        until = f"{snoozed.until_utc:%Y-%m-%d %H:%M} UTC"
        console.print(f"snoozed: {snoozed.scope} until {until} by {snoozed.by}: {snoozed.reason}")
    return 0


def _show(lake: Lake, console: Console, incident_id: str) -> int:
    found = find(lake, incident_id)
    if found is None:
        console.print(f"there is no incident {incident_id}; `bellwether incidents list` shows those that are open")
        return 1
    console.print(
        f"{found.incident_id}: {found.severity}, {_state(found)}\n\n{found.last.subject}\n\n{found.last.body}\n"
    )
    for event in found.events:
        console.print(f"{event.at_utc:%Y-%m-%d %H:%M:%S} UTC  {event.what}")
    return 0


def _state(incident: Incident) -> str:
    return "open" if incident.healed_utc is None else f"healed by {incident.healed_by}"


def _instant(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is no day and no instant: give YYYY-MM-DD or YYYY-MM-DDTHH:MM"
        raise argparse.ArgumentTypeError(msg) from error
    if "T" not in text:
        given = datetime.combine(given.date() + timedelta(days=1), time())
    return (given if given.tzinfo else given.replace(tzinfo=NEW_YORK)).astimezone(UTC)
