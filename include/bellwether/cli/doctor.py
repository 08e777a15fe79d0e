"""`bellwether doctor`: what will and will not work here, one line per check.

Exit codes: 0 all well or warnings only, 1 problems, 2 the doctor could not run (wrong arguments or configuration).
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from bellwether.airflow_api import AirflowApi
from bellwether.cli.options import VendorAccess, add_lake, add_range, lake_location, vendor_access
from bellwether.cli.stack import demo_home, up_home
from bellwether.config import Config
from bellwether.doctor.examination import MOST_CALLS, Access, Examination
from bellwether.doctor.finding import Finding, Level, exit_code
from bellwether.doctor.vendor import policies
from bellwether.errors import ConfigError
from bellwether.lake.location import Location
from bellwether.localstack import StackState, StackStateFile
from bellwether.logging import redact
from bellwether.sources.rest import PolygonRest

_STYLE = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red", Level.UNKNOWN: "cyan"}
_WIDTH = max(map(len, Level))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    add_lake(parser)
    parser.add_argument("--url", metavar="URL", help="a simulator, e.g. http://127.0.0.1:8765")
    add_range(parser, required=False)
    parser.add_argument(
        "--airflow",
        metavar="URL",
        help="an Airflow, with AIRFLOW_USER and AIRFLOW_PASSWORD of the environment (default: AIRFLOW_URL, else the "
        "one of `make up` or `make demo`)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 1 where there is a problem."""
    if args.end and args.start and args.end < args.start:
        message = f"--end {args.end} is before --start {args.start}"
        raise ConfigError(message)
    stack = _local_stack()
    # Lines and spinner share the terminal; where the lines go elsewhere, the spinner must not take them along.
    out, err = Console(file=sys.stdout), Console(stderr=True)
    with (out if out.is_terminal and not args.json else err).status("Examining ...") as status:
        access = _access(args.url, stack, config, partial(_show_wait, status))
        if isinstance(access, Access):
            err.print(_announcement(access), highlight=False, markup=False, soft_wrap=True)
        where = _location(args.lake, stack, access, config)
        api = _airflow(args.airflow, stack, os.environ)
        found = []
        for finding in Examination(config, access, where, api, args.start, args.end).findings():
            clean = msgspec.structs.replace(finding, says=redact(finding.says), advice=redact(finding.advice))
            found.append(clean)
            status.update(f"Examining ... {len(found)} done, last: {escape(finding.check)}")
            if not args.json:
                _show(out, clean)
    code = exit_code(found)
    if args.json:
        sys.stdout.write(msgspec.json.encode({"exit_code": code, "findings": found}).decode() + "\n")
    return code


def _announcement(access: Access) -> str:
    says = f"Asks {access.url} some {MOST_CALLS} times"
    if access.requests_per_minute is None:
        return f"{says}."
    minutes = MOST_CALLS / access.requests_per_minute
    return f"{says}; at {access.requests_per_minute} requests a minute that takes up to {minutes:.0f} minutes."


def _show(out: Console, finding: Finding) -> None:
    style = _STYLE[finding.level]
    line = f"[{style}]{finding.level:<{_WIDTH}}[/]  {escape(finding.check)}: {escape(finding.says)}"
    if finding.advice:
        line += f"; [bold]{escape(finding.advice)}[/]"
    out.print(line, highlight=False, soft_wrap=True)


def _show_wait(status: Status, wait_s: float) -> None:
    if wait_s > 0:
        status.update(f"Examining ... waits {wait_s:.0f} s for the rate limit")


def _local_stack() -> StackState | None:
    for home in (up_home(), demo_home()):
        state = StackStateFile(home).read()
        # One that lacks a component is what a doctor is asked about.
        if state and state.remains():
            return state
    return None


def _access(
    url: str | None, stack: StackState | None, config: Config, on_wait: Callable[[float], None]
) -> Access | str:
    try:
        try:
            found = vendor_access(url)
        except ConfigError:
            if stack is None or stack.simulator_url is None:
                raise
            found = vendor_access(stack.simulator_url)
    except ConfigError as error:
        return str(error)
    return Access(
        found.url, found.simulated, found.requests_per_minute, partial(connect, found, config, on_wait=on_wait)
    )


def connect(
    access: VendorAccess,
    config: Config,
    requests_per_minute: int | None,
    on_wait: Callable[[float], None] | None = None,
) -> PolygonRest:
    """Return a transport that keeps to a rate limit or to none, and gives up sooner than a capture would."""
    hurried = config.model_copy(update={"retry_policy": policies(requests_per_minute)})
    return replace(access, requests_per_minute=requests_per_minute).connect(hurried, on_wait)


def _location(given: str | None, stack: StackState | None, access: Access | str, config: Config) -> Location:
    # A local stack's lake is that of its simulator; with a key of one's own the question is about another.
    if given is None and stack and isinstance(access, Access) and access.url == stack.simulator_url:
        given = stack.lake
    return lake_location(given, config)


def _airflow(given: str | None, stack: StackState | None, env: Mapping[str, str]) -> AirflowApi | str:
    url = given or env.get("AIRFLOW_URL")
    if url:
        return AirflowApi(url.rstrip("/"), env.get("AIRFLOW_USER", ""), env.get("AIRFLOW_PASSWORD", ""))
    if stack:
        return AirflowApi(stack.url, stack.username, stack.password)
    return "none runs here, and none was named"
