"""`bellwether universe`: which tickers a session is to capture, and where that comes from."""

import argparse
import sys
from datetime import date

import msgspec
from rich.console import Console

from bellwether.cli.options import add_lake, add_session, lake_location, vendor_access
from bellwether.clock import SystemClock
from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.ingest.sources import CAPTURED
from bellwether.ingest.universe import DISCOVERED_IN, named_universe, owed_universe, resolve
from bellwether.lake import Lake, Universe
from bellwether.lake.coverage import stored_universe
from bellwether.tickers import WHOLE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("dataset", choices=CAPTURED, nargs="?", default="equities")
    add_session(parser)
    add_lake(parser)
    parser.add_argument(
        "--resolve", action="store_true", help="what the configuration gives now; asks the vendor, stores nothing"
    )
    parser.add_argument("--url", metavar="URL", help="with --resolve, a simulator, e.g. http://127.0.0.1:8765")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when there is a universe to show.

    Raises
    ------
    ConfigError
        None is stored, and only the vendor could tell.
    """
    universe = _resolved(args, config) if args.resolve else _stored(args, config)
    if args.json:
        line = {"session": args.session, "dataset": args.dataset, **msgspec.structs.asdict(universe)}
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    else:
        _show(args.session, universe)
    return 0


def _resolved(args: argparse.Namespace, config: Config) -> Universe:
    if args.dataset in DISCOVERED_IN:
        msg = (
            f"{args.dataset} are those of the {DISCOVERED_IN[args.dataset]} published; `bellwether discover` finds them"
        )
        raise ConfigError(msg)
    spec = config.universe(args.dataset)
    if (named := named_universe(config, args.dataset)) is not None:
        return named
    universe, _ = resolve(spec, vendor_access(args.url).connect(config), args.session, SystemClock().now())
    return universe


def _stored(args: argparse.Namespace, config: Config) -> Universe:
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    stored = stored_universe(lake, args.dataset, args.session) or owed_universe(
        lake, config, args.dataset, args.session
    )
    if stored is None:
        msg = f"no universe is stored for {args.session}: its rule is resolved when it is planned, or by --resolve"
        raise ConfigError(msg)
    return stored


def _show(session: date, universe: Universe) -> None:
    console = Console(highlight=False, soft_wrap=True)
    resolved = f"resolved {universe.resolved_utc:%Y-%m-%d %H:%M:%S} UTC" if universe.resolved_utc else "not stored yet"
    if universe.tickers == (WHOLE,):
        console.print(f"{session}: {universe.origin}, {resolved}")
        return
    console.print(f"{session}: {len(universe.tickers)} tickers from {universe.origin}, {resolved}")
    for title, tickers in (
        ("required", universe.required),
        ("best effort", universe.best_effort),
        ("left out, no tickers", tuple(map(repr, universe.left_out))),
    ):
        if tickers:
            console.print(f"{title} ({len(tickers)}): {', '.join(tickers)}", markup=False)
