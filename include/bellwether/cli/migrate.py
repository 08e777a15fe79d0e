"""`bellwether migrate`: writes partitions of earlier schema versions anew; interrupted, it goes on where it was."""

import argparse

from rich.console import Console
from rich.progress import track

from bellwether.cli.options import add_lake, lake_location
from bellwether.config import Config
from bellwether.errors import LakeError
from bellwether.lake import Lake
from bellwether.lake.layout import FileLayout
from bellwether.lake.migrate import migrate
from bellwether.schemas import SCHEMA_VERSION, SCHEMAS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    add_lake(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when every partition is of today's version, 1 when one could not be brought there."""
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    # Opened by its own kind for writing: a store that would lose publications is refused.
    lake = Lake.open(where.root, options=where.options, simulated=lake.simulated)
    console = Console(stderr=True)
    problems: list[str] = []
    migrated = 0
    for dataset in SCHEMAS:
        layout = FileLayout(config.sinks.of(dataset), config.settings.lake.compression)
        for session in track(lake.sessions(dataset), dataset, console=console):
            try:
                migrated += migrate(lake, dataset, session, layout)
            except LakeError as error:
                problems.append(f"{dataset} {session}: {error}")
    for problem in problems:
        console.print(problem, style="red", highlight=False)
    console.print(
        f"{migrated} partitions brought to schema version {SCHEMA_VERSION}, {len(problems)} problems", highlight=False
    )
    return 1 if problems else 0
