"""The command `bellwether`: finds the subcommand, turns expected errors into one line and an exit code.

Exit codes: 0 done, 1 done with problems, 2 not done (wrong arguments, configuration, lake).
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from bellwether import __version__, logging
from bellwether.config import Config
from bellwether.errors import BellwetherError

_COMMANDS = {
    "backfill": "capture a range of sessions",
    "discover": "find the option contracts that matter on a session, and say why each was chosen",
    "replay-raw": "publish a range of sessions again from the raw responses, without the vendor",
    "stream": "record a session's minutes as they are broadcast, or its news, until its end",
    "repair": "fill through REST what a stream missed of a session, and close its gaps",
    "workers": "show which streams and backfills are running, or stop one",
    "health": "tell how the last sessions and the running streams stand",
    "consolidate": "build the gold of a session from what is published of it",
    "incidents": "show what is wrong and told of, or have nothing told of it for a while",
    "drift": "show what the vendor sends otherwise than promised, and decide about it",
    "quarantine": "show the rows that were refused, and release or discard them",
    "verify": "build published sessions again from their evidence, and compare every byte",
    "coverage": "show what is known of each session",
    "crosscheck": "compare a session's minutes with the vendor's day bars",
    "universe": "show which tickers a session is to capture",
    "views": "write DuckDB views of the lake as SQL",
    "prune": "delete replaced revisions that are older than asked for",
    "index": "make the index of a lake anew from its partitions",
    "migrate": "bring a lake to the schema version of this Bellwether",
    "doctor": "tell what will and will not work here: key, plan, lake, Airflow, ledger",
    "simulate": "serve a generated market or an archive as the vendor would",
    "drill": "break a stream on purpose, beside everything real, and see that it heals",
    "demo": "watch real DAG runs publish five sessions of a generated market",
    "up": "start a local Airflow that stays up",
    "down": "stop the local Airflow and everything started with it",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    parser = _parser(next((word for word in argv if word in _COMMANDS), None))
    args = parser.parse_args(argv)
    try:
        config = Config.load(args.config_dir)
        logging.configure("DEBUG" if args.verbose else "WARNING", config.settings.logging.format)
        return int(args.run(args, config))
    except BellwetherError as error:
        sys.stderr.write(f"bellwether: {logging.redact(str(error))}\n")
        return 2
    except OSError as error:  # a port taken, a file of the simulator that cannot be read
        sys.stderr.write(f"bellwether: {logging.redact(str(error))}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bellwether", description="Validated US market sessions.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="folder of the YAML files (default: config)")
    parser.add_argument("--verbose", action="store_true", help="show every step")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        if name == chosen:  # only the command asked for is imported: some load Airflow's client, some the simulator
            module = importlib.import_module(f"bellwether.cli.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
