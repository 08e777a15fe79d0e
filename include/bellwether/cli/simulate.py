"""`bellwether simulate`: a vendor on loopback until it is told to stop.

It only turns arguments into a SimulatorConfig and prints where the simulator is, as one JSON line.
"""

import argparse
import math
import signal
import sys
from datetime import date, datetime, time
from pathlib import Path

import msgspec

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.cli.options import SIMULATOR_KEY
from bellwether.clock import Clock, SimulatedClock, SystemClock
from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.faults import TRANSIENT, Chance, FaultPlan, load_faults
from bellwether.simulator.feed.feed import FeedConfig
from bellwether.simulator.feed.points import FEED_TRANSIENT
from bellwether.simulator.feed.replay import Script
from bellwether.simulator.lakemarket import LakeMarket
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.records import Market
from bellwether.simulator.server import HOST, SimulatorConfig, running

_MAX = math.inf


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--generate", action="store_true", help="serve a generated market")
    source.add_argument("--archive", type=Path, metavar="DIR", help="serve the tables of a folder (docs/simulator.md)")
    source.add_argument("--lake", metavar="DIR", help="serve what a lake of Bellwether's own has captured")
    parser.add_argument("--start", type=date.fromisoformat, help="first day served, YYYY-MM-DD")
    parser.add_argument("--end", type=date.fromisoformat, help="last day served, YYYY-MM-DD")
    parser.add_argument(
        "--session",
        metavar="YYYY-MM-DD",
        help="replay this session, with what was before it, from --start on: stands for --end, and for --speed 1 and "
        "--plan realtime where they are not given",
    )
    parser.add_argument(
        "--at",
        type=time.fromisoformat,
        metavar="HH:MM",
        help="replay: begin at this New York time of the first session (default: its pre-open, 04:00)",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        metavar="N",
        help="replay: simulated seconds per second from the first session on, or max, as fast as clients of the "
        "streams read; without it and --session the clock is real",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--seed", type=int, help="of the generated market (default 0)")
    parser.add_argument("--tickers", help="of the generated market: names divided by commas, or how many (default 500)")
    parser.add_argument(
        "--plan",
        choices=sorted(PLANS),
        help="what every key may see (default open: all classes, no rate limit, end-of-day data, no streams)",
    )
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of requests that fail by chance, 0 to 1")
    parser.add_argument(
        "--feed-fault-rate",
        type=float,
        default=0.0,
        help="share of a stream's frames and answers that suffer a fault by chance, 0 to 1",
    )
    parser.add_argument("--fault-seed", type=int, default=0, help="of both chances (default 0)")
    parser.add_argument(
        "--late-share",
        type=float,
        default=Script.late_share,
        help=f"share of minutes broadcast again since a late print changed them (default {Script.late_share})",
    )
    parser.add_argument(
        "--faults",
        type=Path,
        metavar="FILE",
        help="fault switches: a YAML or JSON list of {kind, path, at, ticker, session, since_utc, nth, count, ...}",
    )


def run(args: argparse.Namespace, _config: Config) -> int:
    """Serve until SIGTERM or SIGINT and return 0.

    Raises
    ------
    ConfigError
        An argument, the archive or the fault file is wrong, or the port cannot be listened on.
    LakeError
        There is no such lake.
    NotASession
        `--session` names none.
    """
    _resolve_session(args)
    config = SimulatorConfig(
        market=_market(args),
        clock=_clock(args),
        faults=_faults(args),
        plan=PLANS[args.plan or "open"],
        feed=FeedConfig(script=_script(args), paced_by_readers=args.speed == _MAX),
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


def _speed(text: str) -> float:
    return _MAX if text == "max" else float(text)


def _resolve_session(args: argparse.Namespace) -> None:
    """Put what `--session` stands for in its place."""
    if args.session is None:
        return
    if args.end:
        msg = "--session is the last day served: leave --end out"
        raise ConfigError(msg)
    args.end = get_calendar().parse(args.session)
    args.speed = 1.0 if args.speed is None else args.speed
    args.plan = args.plan or "realtime"


def _faults(args: argparse.Namespace) -> FaultPlan:
    plan = load_faults(args.faults) if args.faults else FaultPlan()
    chances = (
        ("--fault-rate", args.fault_rate, TRANSIENT),
        ("--feed-fault-rate", args.feed_fault_rate, FEED_TRANSIENT),
    )
    for name, rate, kinds in chances:
        try:
            plan.take(Chance(rate=rate, seed=args.fault_seed, kinds=kinds))
        except ValueError as error:
            msg = f"{name}: {error}"
            raise ConfigError(msg) from error
    return plan


def _script(args: argparse.Namespace) -> Script:
    try:
        return Script(seed=args.seed or 0, late_share=args.late_share)
    except ValueError as error:
        msg = f"--late-share: {error}"
        raise ConfigError(msg) from error


def _market(args: argparse.Namespace) -> Market:
    if not args.generate:
        if args.tickers or args.seed is not None:
            msg = "--tickers and --seed belong to --generate; an archive or a lake serves what it holds"
            raise ConfigError(msg)
        if args.archive:
            return ArchiveMarket(args.archive, start=args.start, end=args.end)
        return LakeMarket(args.lake, start=args.start, end=args.end)
    text: str = args.tickers or "500"
    try:
        tickers = int(text) if text.isdigit() else [name.strip() for name in text.split(",")]
        return GeneratedMarket(seed=args.seed or 0, tickers=tickers, start=args.start, end=args.end)
    except ValueError as error:
        msg = f"--tickers: {error}"
        raise ConfigError(msg) from error


def _clock(args: argparse.Namespace) -> Clock:
    first = args.end if args.session else args.start
    if args.speed is None and args.at is None:
        return SystemClock()
    if args.speed is None or first is None:
        msg = "a replay begins on a day and runs at a speed: give --session, or --start and --speed"
        raise ConfigError(msg)
    calendar = get_calendar()
    sessions = calendar.sessions(first, calendar.last)
    if not sessions:
        msg = f"--start {first}: no session is known from there on (the last is {calendar.last})"
        raise ConfigError(msg)
    begin = calendar.hours(sessions[0]).pre_open
    if args.at is not None:
        begin = datetime.combine(sessions[0], args.at, NEW_YORK)
    return SimulatedClock(begin, 0.0 if args.speed == _MAX else args.speed)
