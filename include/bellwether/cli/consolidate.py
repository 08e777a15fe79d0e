"""`bellwether consolidate`: build the gold of sessions from what is published of them."""

import argparse
import secrets

from rich.console import Console

from bellwether.cli.options import add_lake, add_session, lake_location
from bellwether.config import Config
from bellwether.consolidate.build import build_chain_of, build_minutes_of, plan_gold, publish_session
from bellwether.consolidate.handover import remove_stages
from bellwether.lake import Lake

_RUN_ID = "bellwether consolidate"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    add_session(parser)
    parser.add_argument(
        "--underlying",
        metavar="TICKER",
        help="build its chain again, and of the others what gold lacks; the minutes and the session's one publication "
        "are whole as ever",
    )
    parser.add_argument("--force", action="store_true", help="build gold again from the inputs it records")
    add_lake(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when the session's gold is of what is published now."""
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    console = Console()
    plan = plan_gold(
        lake,
        config,
        args.session,
        stage_id=f"cli-{secrets.token_hex(4)}",
        force=args.force,
        only=[args.underlying] if args.underlying else [],
    )
    if plan is None:
        console.print(f"{args.session}: gold already records exactly these inputs")
        return 0
    try:
        for underlying in plan.underlyings:
            build_chain_of(lake, config, plan, underlying)
        build_minutes_of(lake, config, plan)
        published = publish_session(lake, config, plan, run_id=_RUN_ID)
    finally:
        remove_stages(lake, plan)
    for dataset, publication in published.items():
        manifest = publication.manifest
        console.print(f"{dataset} {args.session}: {manifest.rows:,} rows, revision {manifest.revision[:12]}")
    return 0
