"""`bellwether replay-raw`: rebuild partitions from the raw responses, session by session, without asking the vendor."""

import argparse
from datetime import date

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bellwether.cli.options import add_lake, add_range, lake_location, sessions_between
from bellwether.config import Config
from bellwether.errors import LakeError, QualityError
from bellwether.ingest.audit import audit_session
from bellwether.ingest.replay import replay_session
from bellwether.ingest.sources import CAPTURED
from bellwether.lake import Lake

_MOST_NAMED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("dataset", choices=CAPTURED)
    add_range(parser)
    add_lake(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing; check that raw proves what is published")
    what.add_argument("--accept-loss", action="store_true", help="let a ticker lose most of its published rows")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when every session is what its raw responses say, 1 when something is not."""
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    if not args.check:
        lake = Lake.open(where.root, options=where.options, simulated=lake.simulated)  # proves that it can be written
    sessions = sessions_between(lake, args.dataset, args.start, args.end)
    console = Console(stderr=True)
    problems: list[str] = []
    rebuilt = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        overall = progress.add_task(args.dataset, total=len(sessions))
        for session in sessions:
            progress.update(overall, description=f"{args.dataset} {session}")
            try:
                if args.check:
                    problems += _lines(session, audit_session(lake, config, args.dataset, session))
                else:
                    done = replay_session(lake, config, args.dataset, session, accept_loss=args.accept_loss)
                    problems += _lines(session, done.problems)
                    rebuilt += done.changed
            except (LakeError, QualityError) as error:
                problems.append(f"{session}: {error}")
            progress.advance(overall)
    for problem in problems:
        console.print(problem, style="red", highlight=False)
    did = "checked" if args.check else f"{rebuilt} rebuilt"
    console.print(f"{len(sessions)} sessions, {did}, {len(problems)} problems", highlight=False)
    return 1 if problems else 0


def _lines(session: date, problems: dict[str, str]) -> list[str]:
    """Return a line for each reason, with the tickers that share it."""
    by_reason: dict[str, list[str]] = {}
    for ticker, reason in problems.items():
        by_reason.setdefault(reason, []).append(ticker)
    return [f"{session} {_named(tickers)}: {reason}" for reason, tickers in by_reason.items()]


def _named(tickers: list[str]) -> str:
    shown = ", ".join(tickers[:_MOST_NAMED])
    return shown if len(tickers) <= _MOST_NAMED else f"{shown} and {len(tickers) - _MOST_NAMED} more"
