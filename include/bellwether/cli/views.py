"""`bellwether views`: SQL that makes the lake's datasets views of a DuckDB."""

import argparse
import sys
from pathlib import Path

from bellwether.cli.options import add_lake, lake_location
from bellwether.config import Config
from bellwether.lake import Lake
from bellwether.lake.views import views


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of to the terminal")
    add_lake(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command and return 0."""
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    sql = views(lake, where.options.get("endpoint_url", ""), where.options.get("region", ""))
    if args.out:
        args.out.write_text(sql)
    else:
        sys.stdout.write(sql)
    return 0
