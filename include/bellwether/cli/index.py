"""`bellwether index rebuild`: makes `state/` anew from the partitions alone."""

import argparse

from rich.console import Console
from rich.progress import track

from bellwether.cli.options import add_lake, lake_location
from bellwether.config import Config
from bellwether.errors import LakeError
from bellwether.lake import Lake
from bellwether.lake.rebuild import rebuild, remove_stale
from bellwether.schemas import SCHEMAS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("action", choices=["rebuild"])
    add_lake(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when every partition could be read, 1 otherwise."""
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    console = Console(stderr=True)
    problems: list[str] = []
    done = stale = 0
    for dataset in SCHEMAS:
        stale += sum(1 for _ in remove_stale(lake, dataset))
        for session in track(lake.sessions(dataset), dataset, console=console):
            try:
                rebuild(lake, dataset, session)
                done += 1
            except LakeError as error:
                problems.append(str(error))
    for problem in problems:
        console.print(problem, style="red", highlight=False)
    console.print(
        f"{done} entries, {stale} of partitions that are gone removed, {len(problems)} problems. What failed where "
        "nothing was published, and the last validation results, are in no partition: the next runs record them again.",
        highlight=False,
    )
    return 1 if problems else 0
