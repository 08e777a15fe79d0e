"""`bellwether prune`: deletes replaced revisions that no read as of the last N days needs.

Stages and raw responses stay: raw is the proof from which a partition can be built again. So does what is left of a
history that was lost: it is told of, since only a person can say that nobody needs it.
"""

import argparse
from datetime import timedelta

from rich.console import Console
from rich.progress import track

from bellwether.cli.options import add_lake, lake_location
from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.lake import Lake, paths
from bellwether.lake.history import prunable, prune
from bellwether.schemas import SCHEMAS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument(
        "--keep-days", required=True, type=int, metavar="N", help="reads as of the last N days go on working"
    )
    parser.add_argument("--delete", action="store_true", help="delete; without it, only say what would be deleted")
    add_lake(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command and return 0.

    Raises
    ------
    ConfigError
        The number of days is negative.
    """
    if args.keep_days < 0:
        msg = f"--keep-days {args.keep_days}: a number of days is at least 0"
        raise ConfigError(msg)
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    horizon_utc = lake.clock.now() - timedelta(days=args.keep_days)
    console = Console(stderr=True)
    files = size_bytes = 0
    for dataset in SCHEMAS:
        for session in track(lake.sessions(dataset), dataset, console=console):
            what = prunable(lake, dataset, session, horizon_utc)
            if args.delete:
                prune(lake, what)
            files += len(what.entries)
            size_bytes += what.size_bytes
            if what.apart:
                folder = lake.storage.url(paths.revisions(dataset, session))
                console.print(
                    f"{folder}: kept: {', '.join(entry.key.name for entry in what.apart)}: once in force, but no part "
                    "of today's history: the partition was lost and published anew, or an older one was put back",
                    highlight=False,
                    soft_wrap=True,
                )
    done = "deleted" if args.delete else "would be deleted; run it with --delete"
    console.print(
        f"{files} revisions replaced before {horizon_utc:%Y-%m-%d %H:%M} UTC, {size_bytes:,} bytes: {done}",
        highlight=False,
    )
    return 0
