"""`bellwether quarantine`: the rows that were refused, and deciding about them: into the partition, or out for good."""

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bellwether.cli.options import add_lake, add_range, lake_location, tickers, user, write_json
from bellwether.config import Config
from bellwether.ingest.sources import CAPTURED
from bellwether.lake import Lake, paths
from bellwether.quarantine.decisions import Action
from bellwether.quarantine.page import as_json, counted, headline
from bellwether.quarantine.release import Judged, Settled, chosen, judge, settle
from bellwether.quarantine.standing import Row, Selection, State, find
from bellwether.quarantine.validity import why_invalid
from bellwether.universe.spec import shown

_RUN_ID = "bellwether quarantine"
_ALL = "all"
_MOST_SHOWN = 50
_ACTIONS = {"release": Action.RELEASED, "discard": Action.DISCARDED}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    listing = what.add_parser("list", help="the refused rows of sessions; those that wait for somebody, unless told")
    listing.add_argument(
        "--state", choices=[*(state.value for state in State), _ALL], default=State.OPEN.value, help="default: open"
    )
    showing = what.add_parser("show", help="all that is known of rows, and whether they could be released")
    releasing = what.add_parser("release", help="publish rows, as far as today's rules allow them")
    discarding = what.add_parser("discard", help="keep rows out for good")
    showing.add_argument("rows", nargs="+", metavar="ROW", help="an id, as `list` shows it")
    for each in (releasing, discarding):
        each.add_argument("rows", nargs="*", metavar="ROW", help="ids, as `list` shows them; or choose as `list` does")
        each.add_argument("--reason", required=True, help="why")
        each.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    for each in (listing, releasing, discarding):
        each.add_argument("--dataset", action="append", choices=CAPTURED, default=[], help="of this; may be repeated")
        add_range(each, required=False)
        each.add_argument("--tickers", type=tickers, default=[], metavar="A,B", help="of these")
        each.add_argument("--rule", default="", metavar="NAME", help="that broke this rule, as late or high_below_low")
    for each in (listing, showing, releasing, discarding):
        add_lake(each)
        each.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when done, 1 when a dry run or `show` says that a row could not be released, 2 if not all was.

    Raises
    ------
    QuarantineError
        A row cannot be decided about like that; nothing was changed.
    """
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    console = Console(highlight=False, markup=False)
    if args.what == "list":
        found = [row for row in find(lake, _selection(args)) if args.state in (row.state.value, _ALL)]
        if args.json:
            write_json({"rows": [as_json(row) for row in found]})
        else:
            _show_rows(console, found)
        return 0
    if args.what == "show":
        return _show(lake, console, args)
    action = _ACTIONS[args.what]
    judged = judge(lake, action, chosen(lake, _selection(args), action))
    if args.dry_run:
        _say_judged(console, judged, as_json_object=args.json)
        return 1 if judged.refused else 0
    lake = Lake.open(where.root, options=where.options, simulated=lake.simulated)  # proves that it can be written
    settled = settle(lake, config, judged, by=user(), why=args.reason, run_id=_RUN_ID)
    _say_settled(console, settled, as_json_object=args.json)
    return 2 if settled.left_out else 0


def _selection(args: argparse.Namespace) -> Selection:
    return Selection(
        datasets=tuple(args.dataset),
        start=args.start,
        end=args.end,
        tickers=tuple(args.tickers),
        rule=args.rule,
        rows=tuple(dict.fromkeys(getattr(args, "rows", ()))),
    )


def _show(lake: Lake, console: Console, args: argparse.Namespace) -> int:
    rows = find(lake, Selection(rows=tuple(dict.fromkeys(args.rows))))
    why: dict[str, str] = {}
    for row in rows:
        why |= why_invalid(lake, row.dataset, row.session, [row])
    if args.json:
        write_json({"rows": [as_json(row) | {"why_not": why.get(row.digest)} for row in rows]})
        return 1 if why else 0
    for row in rows:
        table = Table("", "", title=row.row_id, show_header=False)
        known = as_json(row)
        for name in ("state", "broke", "subject", "key", "quarantined_utc", "fetched_utc"):
            table.add_row(name, ", ".join(known[name]) if isinstance(known[name], list) else str(known[name]))
        table.add_row("raw", lake.storage.url(paths.raw(row.dataset, row.session, row.origin.stage_id)))
        table.add_row("decision", str(row.decision) if row.decision else "none")
        table.add_row("today", why.get(row.digest, "keeps every rule; it can be released"))
        table.add_section()
        for name, value in row.values.items():
            table.add_row(name, str(value))
        console.print(table)
    return 1 if why else 0


def _show_rows(console: Console, rows: Sequence[Row]) -> None:
    if not rows:
        console.print("no such row in quarantine", style="green")
        return
    table = Table()
    table.add_column("row", no_wrap=True)
    for name in ("key", "broke", "state", "quarantined, UTC"):
        table.add_column(name)
    for row in rows[:_MOST_SHOWN]:
        quarantined = f"{row.quarantined_utc:%Y-%m-%d %H:%M}"
        table.add_row(row.row_id, row.key, ", ".join(row.reasons), row.state.value, quarantined)
    console.print(table)
    if len(rows) > _MOST_SHOWN:
        console.print(f"and {len(rows) - _MOST_SHOWN:,} more; --json lists all")
    for dataset, session, broke, state, count in counted(rows):
        console.print(f"{count:,} of {dataset} {session}: {broke}, {state}")


def _say_judged(console: Console, judged: Judged, *, as_json_object: bool) -> None:
    if as_json_object:
        write_json(
            {
                "action": judged.action.value,
                "to_decide": [row.row_id for row in judged.to_decide],
                "decided": [row.row_id for row in judged.decided],
                "refused": judged.refused,
            }
        )
        return
    console.print(headline(judged))
    for row_id, why in sorted(judged.refused.items()):
        console.print(f"{row_id}: {why}", style="red", soft_wrap=True)
    _say_before(console, judged.decided)


def _say_settled(console: Console, settled: Settled, *, as_json_object: bool) -> None:
    judged = settled.judged
    published = [f"{dataset} {session}" for dataset, session in settled.published]
    if as_json_object:
        write_json(
            {
                "action": judged.action.value,
                "rows": [row.row_id for row in (*judged.to_decide, *judged.decided)],
                "decisions": settled.decisions,
                "published": published,
                "left_out": settled.left_out,
            }
        )
        return
    _say_before(console, judged.decided)
    decisions = shown(settled.decisions) or "none"
    for what in settled.left_out:
        console.print(what, style="red", soft_wrap=True)
    done = f"{len(judged.to_decide)} rows {judged.action.value}" if not settled.left_out else "not all was done"
    console.print(f"{done}; decisions: {decisions}", soft_wrap=True)
    if judged.action is Action.RELEASED:
        console.print(f"published anew: {shown(published) or 'none'}", soft_wrap=True)
    if published:
        console.print("gold follows by ops_health's next look, or now by `bellwether consolidate`", soft_wrap=True)


def _say_before(console: Console, rows: Sequence[Row]) -> None:
    for row in rows[:_MOST_SHOWN]:
        since = "; a newer answer took its place, or is published with it" if row.state is State.SETTLED else ""
        console.print(f"{row.row_id}: already {row.decision}{since}", soft_wrap=True)
