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
from bellwether.ingest.plan import Batch, plan_session
from bellwether.ingest.universe import DISCOVERED_IN
from bellwether.lake import Lake, paths
from bellwether.lake.stage import Stage
from bellwether.logging import get_logger
from bellwether.options.selection import select
from bellwether.options.symbols import parse_symbols
from bellwether.sources.rest import PolygonRest

log = get_logger(__name__)

_CONTRACTS = "contracts"
_BARS = "options"
_SNAPSHOT = "options_snapshot"


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
        validate_stage(lake, config, batches)
        publication = publish_stage(lake, config, _CONTRACTS, session, stage_id=stage_id, run_id=run_id)
    except NothingProven:
        if errors:
            raise errors[0] from None
        raise
    problems = failed_tickers(lake, batches) | publication.refused
    Stage(lake, _CONTRACTS, session, stage_id).remove()
    return Discovery(problems, errors[0] if errors else None)


def discover_and_plan(  # noqa: PLR0913 - what plan_session takes, and the run
    lake: Lake,
    config: Config,
    rest: PolygonRest,
    dataset: str,
    session: date,
    *,
    stage_id: str,
    run_id: str,
    tickers: Sequence[str] = (),
    force: bool = False,
) -> list[Batch]:
    """Plan a session, once what its universe is read from is discovered, where the ledger does not call that proven.

    Raises
    ------
    VendorError
        Contracts of a required underlying could not be found: part of them are not taken for all.
    BellwetherError
        As `plan_session`, which also has the parameters.
    """
    if dataset in DISCOVERED_IN:
        found = discover(lake, config, rest, session, stage_id=stage_id, run_id=run_id)
        if found.error and found.problems.keys() - forgivable(lake, _CONTRACTS, session, found.problems):
            raise found.error
    return plan_session(lake, config, rest, dataset, session, stage_id=stage_id, tickers=tickers, force=force)


def undiscovered(lake: Lake, config: Config, session: date) -> list[str] | None:
    """Return the contracts that other datasets of a session hold and the rules mean, and that were not discovered.

    The vendor's chains of a day have had holes (https://github.com/polygon-io/issues/issues/242). Of an underlying of
    which no contract was discovered, and so no opening price is recorded, whatever was seen is returned.

    Returns
    -------
    None where contracts are not published: then nobody can tell.
    """
    published = lake.partition(_CONTRACTS, session)
    if published is None:
        return None
    listed = published.table.select(["ticker", "underlying", "opening_price"]).to_pylist()
    chains: dict[str, list[str]] = {}
    for row in listed:
        chains.setdefault(row["underlying"], []).append(row["ticker"])
    strange: dict[str, list[str]] = {}
    for ticker, underlying in _seen(lake, session, listed).items():
        strange.setdefault(underlying, []).append(ticker)
    prices = {row["underlying"]: row["opening_price"] for row in listed}
    found: set[str] = set()
    for underlying in strange.keys() & published.manifest.coverage.keys():
        meant = set(strange[underlying])
        if underlying in prices:
            rule = config.sources.options.contracts.rule_for(underlying)
            whole = _facts([*chains[underlying], *strange[underlying]])
            meant &= set(select(whole, prices[underlying], session, rule)["ticker"].to_pylist())
        found |= meant
    return sorted(found)


def _seen(lake: Lake, session: date, listed: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the underlying of each contract that other datasets hold, but for those listed."""
    chain = lake.look(paths.partition(_SNAPSHOT, session), lambda file: file.read(["ticker", "underlying"]))
    seen = {row["ticker"]: row["underlying"] for row in chain.to_pylist()} if chain is not None else {}
    manifest = lake.manifest(_BARS, session)
    traded = [ticker for ticker, known in manifest.coverage.items() if known.rows] if manifest else []
    roots = dict(zip(_facts(row["ticker"] for row in listed)["root"].to_pylist(), listed, strict=True))
    for ticker, root in zip(traded, _facts(traded)["root"].to_pylist(), strict=True):
        seen.setdefault(ticker, roots[root]["underlying"] if root in roots else root)
    return {ticker: seen[ticker] for ticker in seen.keys() - {row["ticker"] for row in listed}}


def _facts(tickers: Iterable[str]) -> pa.Table:
    symbols = pa.array(list(tickers), pa.string())
    return parse_symbols(symbols).append_column("ticker", symbols)
