"""`bellwether down`: end what `up` and `demo` started, in whatever shell."""

import argparse

from rich.console import Console

from bellwether.cli.stack import demo_home, up_home
from bellwether.config import Config
from bellwether.localstack import stop


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Describe the command; it takes nothing."""


def run(_args: argparse.Namespace, _config: Config) -> int:
    """Run the command; 0 also when nothing runs."""
    console = Console()
    stopped = [state for home in (up_home(), demo_home()) if (state := stop(home))]
    for state in stopped:
        console.print(f"Stopped {state.url}.", highlight=False)
    if not stopped:
        console.print("Nothing is running.")
    return 0
