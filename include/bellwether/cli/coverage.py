"""`bellwether coverage`: what the ledger knows, session by session."""

import argparse
import json
import sys
from collections import Counter

from rich.console import Console
from rich.table import Table

from bellwether.cli.discover import show_undiscovered
from bellwether.cli.options import add_lake, add_range, lake_location, sessions_between
from bellwether.config import Config
from bellwether.ingest.sources import CAPTURED
from bellwether.ingest.universe import owed_universe
from bellwether.lake import Lake
from bellwether.lake.coverage import SessionCoverage, session_coverage
from bellwether.tickers import WHOLE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("dataset", choices=CAPTURED, nargs="?", default="equities")
    add_range(parser)
    add_lake(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per session and ticker")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when every required ticker of every session is proven, 1 otherwise."""
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options)
    known = [
        session_coverage(lake, args.dataset, session, owed_universe(lake, config, args.dataset, session))
        for session in sessions_between(lake, args.dataset, args.start, args.end)
    ]
    if args.json:
        _write_json(args.dataset, known)
    else:
        Console().print(_table(args.dataset, known))
        if args.dataset in ("contracts", "options"):
            show_undiscovered(lake, config, [session.session for session in known])
    return 0 if all(session.is_complete for session in known) else 1


def _table(dataset: str, known: list[SessionCoverage]) -> Table:
    table = Table(title=dataset)
    for name in ("session", "state", "tickers", "rows", "bad rows", "revision", "what lacks"):
        table.add_column(name, no_wrap=name in {"session", "state", "rows", "revision"})
    for session in known:
        counts = Counter(coverage.state.value for coverage in session.tickers.values())
        manifest = session.manifest
        table.add_row(
            session.session.isoformat(),
            session.state.value,
            ", ".join(f"{count} {state}" for state, count in counts.most_common()),
            f"{manifest.rows:,}" if manifest else "-",
            str(manifest.quarantined_rows) if manifest else "-",
            manifest.revision[:8] if manifest else "-",
            _what_lacks(session),
        )
    return table


def _what_lacks(session: SessionCoverage) -> str:
    if not session.universe.required and session.manifest is None:
        return "everything: its universe is a rule, resolved when the session is planned"
    # Required ones first: they are what keeps the session from being complete.
    spared = sorted(set(session.unproven) - set(session.lacking))
    tickers = session.lacking + [f"{ticker} (best effort)" for ticker in spared]
    if tickers == [WHOLE]:
        return session.universe.origin
    return ", ".join(tickers[:5]) + (" ..." if len(tickers) > 5 else "")


def _write_json(dataset: str, known: list[SessionCoverage]) -> None:
    for session in known:
        roles = session.universe.roles
        for ticker, coverage in session.tickers.items():
            line = {
                "session": session.session.isoformat(),
                "dataset": dataset,
                "ticker": ticker,
                "role": roles.get(ticker),
                "state": coverage.state.value,
                "rows": coverage.rows,
                "quarantined_rows": coverage.quarantined_rows,
                "reason": coverage.reason,
            }
            sys.stdout.write(json.dumps(line) + "\n")
