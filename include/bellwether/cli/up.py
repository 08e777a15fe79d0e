"""`bellwether up`: a local Airflow that stays up until `bellwether down`."""

import argparse
import json
import os
from collections.abc import Mapping

from rich.console import Console

from bellwether.cli.options import DEFAULT_URL, LIMIT_VARIABLE
from bellwether.cli.stack import show_address, simulator_arguments, up_home
from bellwether.config import Config
from bellwether.localstack import AlreadyRunning, LocalStack
from bellwether.sources.limits import requests_per_minute

_PREFERRED_PORT = 8080
_CONNECTION = "AIRFLOW_CONN_POLYGON_DEFAULT"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument(
        "--no-simulator",
        action="store_true",
        help="leave the connection polygon_default to Airflow's UI (Admin, Connections)",
    )


def run(args: argparse.Namespace, _config: Config) -> int:
    """Run the command; 0 also when the stack runs already."""
    console = Console()
    stack = local_stack(no_simulator=args.no_simulator, env=os.environ)
    try:
        with console.status("Starting Airflow (some 15 seconds) ..."):
            stack.start()
    except AlreadyRunning as running:
        console.print("It is up already.")
        show_address(console, running.state)
        return 0
    show_address(console, stack.state)
    console.print("It stays up; `make down` stops it.")
    return 0


def local_stack(*, no_simulator: bool, env: Mapping[str, str]) -> LocalStack:
    """Return the stack to start: with Polygon where a key is given, else with the simulator and a lake of its own."""
    if no_simulator or _CONNECTION in env:
        return LocalStack(up_home(), port=_PREFERRED_PORT)
    if key := env.get("POLYGON_API_KEY"):
        connection = {
            "conn_type": "polygon",
            "host": DEFAULT_URL,
            "password": key,
            "extra": {
                "environment": "production",
                "requests_per_minute": requests_per_minute(env.get(LIMIT_VARIABLE), LIMIT_VARIABLE),
                "sdk": "polygon",
            },
        }
        return LocalStack(up_home(), port=_PREFERRED_PORT, env={_CONNECTION: json.dumps(connection)})
    return LocalStack(
        up_home(),
        port=_PREFERRED_PORT,
        simulator=simulator_arguments(),
        lake=up_home().parent / "simulated-lake",  # simulated and real data never mix in one lake
    )
