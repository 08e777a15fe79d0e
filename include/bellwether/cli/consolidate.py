"""`bellwether consolidate`: build the gold of a session from what is published of it.

Where required inputs lack and the session was streamed, that is provisional gold of the session so far.
"""

import argparse
import secrets
from datetime import date

from rich.console import Console

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.cli.options import add_lake, feed_of, lake_location
from bellwether.config import Config
from bellwether.consolidate.build import consolidate, plan_gold
from bellwether.consolidate.inputs import published_inputs
from bellwether.consolidate.intraday import in_words, stream_so_far
from bellwether.lake import Lake

_RUN_ID = "bellwether consolidate"
_TODAY = "today"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument(
        "--session",
        required=True,
        metavar="YYYY-MM-DD",
        help="the session; or today, by the clock of whoever streams",
    )
    parser.add_argument("--url", metavar="URL", help="a simulator whose clock says what is today")
    parser.add_argument(
        "--underlying",
        metavar="TICKER",
        help="build its chain again, and of the others what gold lacks; the minutes and the session's one publication "
        "are whole as ever",
    )
    parser.add_argument("--force", action="store_true", help="build gold again from the inputs it records")
    add_lake(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when the session's gold is of what is there now.

    Raises
    ------
    NotASession
        The session is none, or today is none.
    InputsMissing
        There is nothing to build from.
    """
    session = _session(args.session, args.url)
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    console = Console(highlight=False)
    plan = plan_gold(
        lake,
        config,
        session,
        stage_id=f"cli-{secrets.token_hex(4)}",
        force=args.force,
        only=[args.underlying] if args.underlying else [],
        streamed=stream_so_far(lake, config, session, run_id=_RUN_ID),
    )
    if plan is None:
        console.print(f"{session}: gold already records exactly these inputs")
    else:
        for dataset, publication in consolidate(lake, config, plan, run_id=_RUN_ID).items():
            console.print(f"{dataset} {session}: {in_words(publication.manifest)}", soft_wrap=True)
    for each in published_inputs(lake, config, session).lacking:
        console.print(f"not final: {each.words}", style="yellow", soft_wrap=True, markup=False)
    return 0


def _session(asked: str, url: str | None) -> date:
    if asked != _TODAY:
        return get_calendar().parse(asked)
    return get_calendar().parse(f"{feed_of(url).now().astimezone(NEW_YORK):%Y-%m-%d}")
