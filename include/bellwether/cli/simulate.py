"""`bellwether simulate`: a vendor on loopback until it is told to stop.

It only turns arguments into a SimulatorConfig and prints where the simulator is, as one JSON line.
"""

import argparse
import signal
import sys
from datetime import date
from pathlib import Path

import msgspec

from bellwether.calendar import get_calendar
from bellwether.cli.options import SIMULATOR_KEY
from bellwether.clock import Clock, SimulatedClock, SystemClock
from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.faults import Chance, FaultPlan, load_faults
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.records import Market
from bellwether.simulator.server import HOST, SimulatorConfig, running


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--generate", action="store_true", help="serve a generated market")
    source.add_argument("--archive", type=Path, metavar="DIR", help="serve the tables of a folder (docs/simulator.md)")
    parser.add_argument("--start", type=date.fromisoformat, help="first day served, YYYY-MM-DD")
    parser.add_argument("--end", type=date.fromisoformat, help="last day served, YYYY-MM-DD")
    parser.add_argument(
        "--speed",
        type=float,
        help="replay: simulated seconds per second from the first session's pre-open on; without it the clock is real",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--seed", type=int, help="of the generated market (default 0)")
    parser.add_argument("--tickers", help="of the generated market: names divided by commas, or how many (default 500)")
    parser.add_argument(
        "--plan",
        choices=sorted(PLANS),
        default="open",
        help="what every key may see (default open: all classes, no rate limit, end-of-day data)",
    )
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of requests that fail by chance, 0 to 1")
    parser.add_argument("--fault-seed", type=int, default=0, help="of that chance (default 0)")
    parser.add_argument(
        "--faults",
        type=Path,
        metavar="FILE",
        help="fault switches: a YAML or JSON list of {kind, path, ticker, session, key, nth, count, ...}",
    )


def run(args: argparse.Namespace, _config: Config) -> int:
    """Serve until SIGTERM or SIGINT and return 0.

    Raises
    ------
    ConfigError
        An argument, the archive or the fault file is wrong, or the port cannot be listened on.
    """
    config = SimulatorConfig(
        market=_market(args),
        clock=_clock(args),
        faults=_faults(args),
        plan=PLANS[args.plan],
        port=args.port,
    )
    # Blocked before the simulator's thread exists, so that the signal waits for sigwait and for nobody else.
    stops = {signal.SIGTERM, signal.SIGINT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        with running(config) as simulator:
            urls = {"rest_url": simulator.url, "ws_url": f"ws://{HOST}:{simulator.port}", "api_key": SIMULATOR_KEY}
            sys.stdout.write(msgspec.json.encode(urls).decode() + "\n")
            sys.stdout.flush()
            signal.sigwait(stops)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


def _faults(args: argparse.Namespace) -> FaultPlan:
    plan = load_faults(args.faults) if args.faults else FaultPlan()
    try:
        plan.take(Chance(rate=args.fault_rate, seed=args.fault_seed))
    except ValueError as error:
        msg = f"--fault-rate: {error}"
        raise ConfigError(msg) from error
    return plan


def _market(args: argparse.Namespace) -> Market:
    if args.archive:
        if args.tickers or args.seed is not None:
            msg = "--tickers and --seed belong to --generate; an archive serves what it holds"
            raise ConfigError(msg)
        return ArchiveMarket(args.archive, start=args.start, end=args.end)
    text: str = args.tickers or "500"
    try:
        tickers = int(text) if text.isdigit() else [name.strip() for name in text.split(",")]
        return GeneratedMarket(seed=args.seed or 0, tickers=tickers, start=args.start, end=args.end)
    except ValueError as error:
        msg = f"--tickers: {error}"
        raise ConfigError(msg) from error


def _clock(args: argparse.Namespace) -> Clock:
    if args.speed is None:
        return SystemClock()
    if args.start is None:
        msg = "--speed replays from a first day on: give --start"
        raise ConfigError(msg)
    calendar = get_calendar()
    sessions = calendar.sessions(args.start, calendar.last)
    if not sessions:
        msg = f"--start {args.start}: no session is known from there on (the last is {calendar.last})"
        raise ConfigError(msg)
    return SimulatedClock(calendar.hours(sessions[0]).pre_open, args.speed)
