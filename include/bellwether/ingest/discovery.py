"""Contracts found, published and reconciled: what must stand before their bars can be planned.

The steps are those of any dataset (`plan`, `fetch`, `finish`), taken one after the other in one process.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from bellwether.config import Config
from bellwether.errors import NothingProven, VendorError
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import failed_tickers, forgivable, publish_stage, validate_stage
from bellwether.ingest.plan import plan_session
from bellwether.ingest.universe import DISCOVERED_IN
from bellwether.lake import Lake
from bellwether.lake.stage import Stage
from bellwether.logging import get_logger
from bellwether.options.selection import select
from bellwether.options.symbols import parse_symbols
from bellwether.schemas import SCHEMAS
from bellwether.sources.rest import PolygonRest

log = get_logger(__name__)

_CONTRACTS = "contracts"
_SEEN_IN = ("options", "options_snapshot")


@dataclass(frozen=True)
class Discovery:
    """What became of a session's discovery.

    Attributes
    ----------
    problems
        Underlyings whose contracts are not known, with the reason.
    error
        The vendor's that is behind the first of them.
    """

    problems: Mapping[str, str]
    error: VendorError | None = None


def discover(
    lake: Lake,
    config: Config,
    rest: PolygonRest,
    session: date,
    *,
    stage_id: str,
    run_id: str,
    underlyings: Sequence[str] = (),
) -> Discovery:
    """Find and publish the contracts of a session, as of the session.

    Parameters
    ----------
    underlyings
        Only these, and again; by default all whose contracts are not known.

    Raises
    ------
    NotASession
        The session is not due.
    ConfigError
        An underlying is not in the universe.
    VendorError
        Nothing could be found of any underlying.
    """
    batches = plan_session(lake, config, rest, _CONTRACTS, session, stage_id=stage_id, tickers=underlyings)
    if not batches:
        return Discovery({})
    errors: list[VendorError] = []
    for batch in batches:
        try:
            fetch_batch(lake, rest, config, batch)
        except VendorError as error:
            errors.append(error)
    try:
        validate_stage(lake, batches)
        publication = publish_stage(lake, config, _CONTRACTS, session, stage_id=stage_id, run_id=run_id)
    except NothingProven:
        if errors:
            raise errors[0] from None
        raise
    problems = failed_tickers(lake, batches) | publication.refused
    Stage(lake, _CONTRACTS, session, stage_id).remove()
    return Discovery(problems, errors[0] if errors else None)


def discover_missing(
    lake: Lake, config: Config, rest: PolygonRest, dataset: str, session: date, *, stage_id: str, run_id: str
) -> None:
    """Discover what a dataset's universe is read from, where the ledger does not call it proven.

    Raises
    ------
    VendorError
        Contracts of a required underlying could not be found: part of them are not taken for all.
    """
    if dataset not in DISCOVERED_IN:
        return
    found = discover(lake, config, rest, session, stage_id=stage_id, run_id=run_id)
    if found.error and found.problems.keys() - forgivable(lake, _CONTRACTS, session, found.problems):
        raise found.error


def undiscovered(lake: Lake, config: Config, session: date) -> list[str]:
    """Return the contracts that other datasets of a session hold and the rules mean, and that were not discovered.

    The vendor's chains of a day have had holes (https://github.com/polygon-io/issues/issues/242). Of an underlying of
    which no contract was discovered, and so no opening price is recorded, whatever was seen is returned.
    """
    published = lake.partition(_CONTRACTS, session)
    seen: set[str] = set()
    for dataset in _SEEN_IN:
        partition = lake.partition(dataset, session) if dataset in SCHEMAS else None
        seen |= set(partition.table["ticker"].to_pylist()) if partition else set()
    if published is None:
        return []
    listed = published.table.select(["ticker", "underlying", "opening_price"]).to_pylist()
    roots = dict(zip(_facts(row["ticker"] for row in listed)["root"].to_pylist(), listed, strict=True))
    chains: dict[str, list[str]] = {}
    for row in listed:
        chains.setdefault(row["underlying"], []).append(row["ticker"])
    strange: dict[str, list[str]] = {}
    unlisted = _facts(sorted(seen - {row["ticker"] for row in listed}))
    for ticker, root in zip(unlisted["ticker"].to_pylist(), unlisted["root"].to_pylist(), strict=True):
        strange.setdefault(roots[root]["underlying"] if root in roots else root, []).append(ticker)
    prices = {row["underlying"]: row["opening_price"] for row in listed}
    found: set[str] = set()
    for underlying, tickers in strange.items():
        meant = set(tickers)
        if underlying in prices:
            rule = config.sources.options.contracts.rule_for(underlying)
            whole = _facts([*chains[underlying], *tickers])
            meant &= set(select(whole, prices[underlying], session, rule)["ticker"].to_pylist())
        found |= meant
    return sorted(found)


def _facts(tickers: Iterable[str]) -> pa.Table:
    symbols = pa.array(list(tickers), pa.string())
    return parse_symbols(symbols).append_column("ticker", symbols)
