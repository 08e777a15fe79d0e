"""Which tickers a session is to capture: settled when it is first planned, kept in the lake, changed only on purpose.

A list is written down as it stands; a rule is resolved as of the session, and the vendor's answers to it are
kept like any others. The same list or rule never asks twice; another one is resolved anew.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from itertools import chain
from typing import Final

from msgspec import structs

from bellwether.config import Config
from bellwether.drift.reader import by_contracts
from bellwether.errors import ConfigError, LakeError
from bellwether.ingest import rawfiles
from bellwether.ingest.pages import StagedPages
from bellwether.lake import Lake, Universe, paths
from bellwether.lake.coverage import store_universe, stored_universe
from bellwether.logging import get_logger
from bellwether.schemas import FORMS
from bellwether.sources.raw import RawPage
from bellwether.sources.rest import PolygonRest
from bellwether.sources.walk import PageLog
from bellwether.universe.rules import find
from bellwether.universe.spec import TickerList, UniverseSpec, WholeFeed, malformed_among, shown

log = get_logger(__name__)

DISCOVERED_IN: Final[Mapping[str, str]] = {"options": "contracts"}
"""Datasets whose tickers are those of another's published partition, that one's name by theirs."""

_MOST_LEFT_OUT = 20
_LONGEST_NAME = 40
_RAW_FOLDER = _STAGE = "universe"


def session_universe(
    lake: Lake,
    config: Config,
    rest: PolygonRest,
    dataset: str,
    session: date,
    *,
    stage_id: str,
    anew: bool = False,
) -> Universe:
    """Return the universe stored for a session, after resolving it if there is none or the configuration changed.

    Parameters
    ----------
    lake
        Where it is stored.
    config
        What is to be captured.
    rest
        The vendor; a list never asks it.
    stage_id
        The run; names the folder of the raw responses.
    anew
        Resolve a rule again, though it was resolved before: the vendor may have corrected its answer.

    Raises
    ------
    ConfigError
        The rule gives no ticker.
    LakeError
        It is that of another dataset's partition, and there is none.
    VendorError
        The rule could not be resolved.
    """
    stored = stored_universe(lake, dataset, session)
    if dataset in DISCOVERED_IN:
        return _follow(lake, dataset, session, stored)
    spec = config.universe(dataset)
    can_differ = anew and not isinstance(spec, TickerList | WholeFeed)
    if stored is not None and stored.spec_hash == spec.hash and not can_differ:
        return stored
    # A plan that is tried again asks on where the last one broke off, whichever run it belongs to.
    page_log = StagedPages(lake, paths.stage(dataset, session, _STAGE), session)
    if not isinstance(spec, TickerList | WholeFeed):
        rest = by_contracts(rest, lake, config)
    universe, pages = resolve(spec, rest, session, lake.clock.now(), page_log)
    raw = rawfiles.keep(lake, _RAW_FOLDER, session, stage_id, pages, prefix=dataset)
    universe = structs.replace(universe, raw=raw)
    store_universe(lake, dataset, session, universe)
    page_log.clear()
    log.info("universe settled", dataset=dataset, session=session.isoformat(), origin=universe.origin)
    return universe


def resolve(
    spec: UniverseSpec | WholeFeed, rest: PolygonRest, session: date, now: datetime, page_log: PageLog | None = None
) -> tuple[Universe, tuple[RawPage, ...]]:
    """Return who a list or rule means on a session, and the vendor's answers that say so; nothing is stored.

    Raises
    ------
    ConfigError
        The rule gives no ticker.
    VendorError
        No complete answer.
    """
    if isinstance(spec, TickerList | WholeFeed):
        return _listed(spec, now), ()
    found = find(spec, rest, session, page_log)
    malformed = malformed_among(sorted(found.tickers))
    if malformed:
        log.warning("left out of the universe", session=session.isoformat(), names=shown(map(repr, malformed)))
    tickers = found.tickers - malformed.keys() - {*spec.required, *spec.best_effort}
    universe = Universe(
        required=_sorted(spec.required, tickers if spec.role == "required" else ()),
        best_effort=_sorted(spec.best_effort, tickers if spec.role == "best_effort" else ()),
        origin=spec.origin,
        spec_hash=spec.hash,
        resolved_utc=now,
        left_out=tuple(name[:_LONGEST_NAME] for name in malformed)[:_MOST_LEFT_OUT],
    )
    if not universe.required:
        msg = (
            f"{spec.origin}: gives no ticker on {session} that could be required; name at least one, or use other types"
        )
        raise ConfigError(msg)
    return universe, found.pages


def owed_universe(lake: Lake, config: Config, dataset: str, session: date) -> Universe | None:
    """Return the tickers of a list, or of the partition a dataset follows; None where only the vendor could tell."""
    return _discovered(lake, dataset, session) if dataset in DISCOVERED_IN else named_universe(config, dataset)


def known_universe(lake: Lake, config: Config, dataset: str, session: date) -> Universe | None:
    """Return whom a session is to capture, as far as that is known without the vendor; None where it is not."""
    return owed_universe(lake, config, dataset, session) or stored_universe(lake, dataset, session)


def _follow(lake: Lake, dataset: str, session: date, stored: Universe | None) -> Universe:
    found = _discovered(lake, dataset, session)
    if found is None:
        origin = DISCOVERED_IN[dataset]
        msg = f"{origin} of {session} are not published, so nobody knows which {dataset} there are"
        raise LakeError(msg)
    if stored is None or stored.spec_hash != found.spec_hash:
        store_universe(lake, dataset, session, found)
        log.info("universe settled", dataset=dataset, session=session.isoformat(), origin=found.origin)
    return found


def _discovered(lake: Lake, dataset: str, session: date) -> Universe | None:
    """Return the tickers of the partition a dataset follows, each in the role of what it was found by."""
    published = lake.partition(DISCOVERED_IN[dataset], session)
    if published is None:
        return None
    manifest, table = published.manifest, published.table
    subject = FORMS[manifest.dataset].subject
    spare = set(manifest.universe.best_effort if manifest.universe else ())
    found = list(zip(table["ticker"].to_pylist(), table[subject].to_pylist(), strict=True))
    return Universe(
        required=_sorted(ticker for ticker, by in found if by not in spare),
        best_effort=_sorted(ticker for ticker, by in found if by in spare),
        origin=f"{manifest.dataset}, revision {manifest.revision[:12]}",
        spec_hash=manifest.revision,
        resolved_utc=manifest.published_utc,
    )


def named_universe(config: Config, dataset: str) -> Universe | None:
    """Return the tickers of a dataset's list, or `WHOLE`; None for a rule, which only the vendor can resolve."""
    spec = config.universe(dataset)
    return _listed(spec, None) if isinstance(spec, TickerList | WholeFeed) else None


def _listed(spec: TickerList | WholeFeed, now: datetime | None) -> Universe:
    return Universe(spec.required, spec.best_effort, origin=spec.origin, spec_hash=spec.hash, resolved_utc=now)


def _sorted(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(chain(*groups)))
