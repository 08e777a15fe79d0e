"""`bellwether crosscheck`: whether a session's published minutes add up to the vendor's day bars."""

import argparse
import json
import sys

from rich.console import Console
from rich.table import Table

from bellwether.cli.options import add_lake, add_session, lake_location
from bellwether.config import Config
from bellwether.ingest.crosscheck import SessionCheck, crosscheck_session
from bellwether.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    add_session(parser)
    add_lake(parser)
    parser.add_argument("--json", action="store_true", help="every difference as one line of JSON, usual ones too")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when no difference is unusual, 1 otherwise.

    Raises
    ------
    LakeError
        There is nothing to compare yet.
    """
    where = lake_location(args.lake, config)
    check = crosscheck_session(Lake.open(where.root, options=where.options), args.session)
    if args.json:
        for row in check.differences.to_pylist():
            sys.stdout.write(json.dumps({"session": args.session.isoformat(), **row}) + "\n")
    else:
        _show(check, f"Minutes and day bars of {args.session}")
    return 1 if check.tickers_by_warning else 0


def _show(check: SessionCheck, title: str) -> None:
    console = Console(highlight=False)
    unusual = check.differences.filter(check.differences["warning"].is_valid())
    if unusual.num_rows:
        table = Table("ticker", "field", title=title)
        for name in ("minutes", "day bar", "basis points"):
            table.add_column(name, justify="right")
        table.add_column("warning")
        for row in unusual.to_pylist():
            numbers = [_number(row[name]) for name in ("minutes_value", "official_value")]
            table.add_row(row["ticker"], row["field"], *numbers, _bp(row["difference_bp"]), row["warning"])
        console.print(table)
    usual = check.differences.num_rows - unusual.num_rows
    counted = ", ".join(f"{len(tickers)} {name}" for name, tickers in check.tickers_by_warning.items())
    console.print(
        f"{check.tickers} tickers compared: {counted or 'no warning'}; {usual} differences within the tolerances; "
        f"{check.others} day bars of tickers that are not captured by the minute",
        soft_wrap=True,
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.10g}"


def _bp(value: float | None) -> str:
    return "-" if value is None else f"{value:+,.1f}"
