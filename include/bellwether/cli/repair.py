"""`bellwether repair`: what a stream missed of a session is filled through REST, compared, and its gaps closed."""

import argparse

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bellwether.cli.options import add_lake, add_session, feed_of, lake_location, tickers, vendor_access
from bellwether.config import Config
from bellwether.errors import NotBroadcast
from bellwether.lake import Lake
from bellwether.streaming.assignment import STREAMS, whole_session
from bellwether.streaming.bookkeeping import publish_streamed
from bellwether.streaming.closing import conclude, in_words
from bellwether.streaming.lease import read_lease
from bellwether.streaming.repair import repair

_RUN_ID = "bellwether repair"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("dataset", choices=STREAMS)
    add_session(parser)
    parser.add_argument("--url", metavar="URL", help="a simulator, e.g. http://127.0.0.1:8765")
    parser.add_argument(
        "--tickers", type=tickers, default=[], metavar="A,B", help="who was recorded, where it was not the universe"
    )
    add_lake(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when nothing is open any more, 1 when gaps are or the session is still being recorded.

    Raises
    ------
    NotBroadcast
        Nobody recorded the session.
    """
    access = vendor_access(args.url)
    feed = feed_of(args.url)
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options, simulated=access.simulated)
    dataset, assignment = args.dataset, whole_session(args.dataset, args.session)
    if read_lease(lake, dataset, args.session) is None:
        msg = f"nobody recorded {dataset} of {args.session} in {lake.root}: there is nothing to repair"
        raise NotBroadcast(msg)
    console = Console(stderr=True)
    is_over = conclude(lake, assignment, feed)
    rest = access.connect(config)
    closed = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"{dataset} {args.session}", total=None)

        def told(asked: int, of: int) -> None:
            progress.update(task, completed=asked, total=of)

        while True:
            done = repair(lake, config, assignment, rest, feed, tickers=args.tickers, told=told)
            closed += len(done.closed)
            for gap in done.closed:
                progress.console.print(f"closed {in_words(gap, gap.evidence)}", highlight=False, markup=False)
            # Another round may close what ended meanwhile; after one that closes nothing there is nothing left to do.
            if not (done.left and done.closed):
                break
    publish_streamed(lake, config, dataset, args.session, run_id=_RUN_ID)
    for gap, why in done.left:
        console.print(f"open {in_words(gap, why)}", style="yellow", highlight=False, markup=False)
    console.print(f"{dataset} {args.session}: {closed} gaps closed, {len(done.left)} open", highlight=False)
    if not is_over:
        console.print("It is still being recorded, or was a moment ago: there may be more to come.", highlight=False)
    return 1 if done.left or not is_over else 0
