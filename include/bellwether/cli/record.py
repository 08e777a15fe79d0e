"""`bellwether record`: a session's minutes as they are broadcast, into the lake's `live` zone, until the session's end.

SIGTERM and Ctrl-C flush and end it; started again, it goes on where its files end.
"""

import argparse
import asyncio
import os
import secrets
import signal
from datetime import date, timedelta

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.cli.options import VendorAccess, add_lake, lake_location, tickers, vendor_access
from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.lake import Lake
from bellwether.streaming.assignment import Assignment, whole_session
from bellwether.streaming.batches import Writer
from bellwether.streaming.client import CLUSTERS, Endpoint, stream_url
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.lease import Heartbeat
from bellwether.streaming.recorder import Recorder
from bellwether.streaming.simulated import simulated_time

_TODAY = "today"
_EARLIEST = timedelta(minutes=10)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("dataset", nargs="?", choices=tuple(CLUSTERS), default="equities", help="default equities")
    parser.add_argument(
        "--session", default=_TODAY, metavar="YYYY-MM-DD", help="the session (default: today, by the feed's clock)"
    )
    parser.add_argument("--url", metavar="URL", help="a simulator, e.g. http://127.0.0.1:8765")
    parser.add_argument(
        "--tickers", type=tickers, default=["*"], metavar="A,B", help="only these; default all there are"
    )
    add_lake(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when everything was heard, 1 when there are gaps.

    Raises
    ------
    ConfigError
        The session is not going on.
    StreamError
        The vendor refuses, or somebody else records.
    """
    access = vendor_access(args.url)
    feed = simulated_time(access.url) if access.simulated else FeedTime()
    assignment = _assignment(args.dataset, args.session, feed)
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options, simulated=access.simulated)
    console = Console(stderr=True)
    what = f"{assignment.dataset} {assignment.session}"
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console) as progress:
        task = progress.add_task(f"{what}: connecting")
        last = asyncio.run(_record(lake, config, access, assignment, feed, args.tickers, _Line(what, progress, task)))
    console.print(_words(what, last), highlight=False)
    for gap in GapLog(lake, assignment.dataset, assignment.session, "cli").read():
        end = "open" if gap.end_utc is None else f"{gap.end_utc.astimezone(NEW_YORK):%H:%M:%S}"
        line = f"gap {gap.start_utc.astimezone(NEW_YORK):%H:%M:%S} to {end}, {gap.cause}: {gap.evidence}"
        console.print(line, style="yellow", highlight=False, markup=False)
    return 1 if last.gaps else 0


class _Line:
    """The progress line, told by every heartbeat."""

    def __init__(self, what: str, progress: Progress, task: TaskID) -> None:
        self._what = what
        self._progress = progress
        self._task = task

    def __call__(self, heartbeat: Heartbeat) -> None:
        self._progress.update(self._task, description=_words(self._what, heartbeat))


async def _record(
    lake: Lake,
    config: Config,
    access: VendorAccess,
    assignment: Assignment,
    feed: FeedTime,
    symbols: list[str],
    line: _Line,
) -> Heartbeat:
    recorder = Recorder(
        lake,
        assignment,
        Writer(f"cli-{secrets.token_hex(4)}", 1, os.getpid()),
        Endpoint(stream_url(access.url, assignment.dataset), access.key),
        symbols=symbols,
        settings=config.settings.streaming,
        feed=feed,
        acknowledge=line,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, recorder.stop)
    return await recorder.run()


def _assignment(dataset: str, session: str, feed: FeedTime) -> Assignment:
    calendar = get_calendar()
    now = feed.now()
    today = now.astimezone(NEW_YORK).date()
    asked: date = today if session == _TODAY else calendar.parse(session)
    if calendar.is_session(asked):
        assignment = whole_session(dataset, asked)
        if assignment.start - _EARLIEST <= now < assignment.until:
            return assignment
    coming = next(
        each
        for day in (today, calendar.next(today))
        if calendar.is_session(day)
        if now < (each := whole_session(dataset, day)).until
    )
    msg = (
        f"{dataset} of {asked} are not being broadcast at {now.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York; the next "
        f"session begins at {coming.start.astimezone(NEW_YORK):%Y-%m-%d %H:%M}"
    )
    raise ConfigError(msg)


def _words(what: str, heartbeat: Heartbeat) -> str:
    covered = heartbeat.covered_utc.astimezone(NEW_YORK)
    lag = "" if heartbeat.lag_s is None else f", {heartbeat.lag_s:.1f} s behind"
    quiet = f", {heartbeat.quiet} quiet" if heartbeat.quiet else ""
    gaps = f", {heartbeat.gaps} gaps" if heartbeat.gaps else ""
    return (
        f"{what}: {heartbeat.state}, {heartbeat.rows:,} rows in file {heartbeat.seq}, until {covered:%H:%M:%S} New York"
        f"{lag}{quiet}{gaps}"
    )
