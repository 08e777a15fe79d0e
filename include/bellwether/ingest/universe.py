"""Which tickers a session is to capture: settled when it is first planned, kept in the lake, changed only on purpose.

A list is written down as it stands; a rule is resolved as of the session, and the vendor's answers to it are
kept like any others. The same list or rule never asks twice; another one is resolved anew.
"""

from collections.abc import Iterable
from datetime import date, datetime
from itertools import chain

from msgspec import structs

from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.ingest import rawfiles
from bellwether.ingest.pages import StagedPages
from bellwether.lake import Lake, Universe, paths
from bellwether.lake.coverage import store_universe, stored_universe
from bellwether.logging import get_logger
from bellwether.sources.raw import RawPage
from bellwether.sources.rest import PolygonRest
from bellwether.sources.walk import PageLog
from bellwether.universe.rules import find
from bellwether.universe.spec import TickerList, UniverseSpec, malformed_among, shown

log = get_logger(__name__)

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
    VendorError
        The rule could not be resolved.
    """
    spec = config.source(dataset).universe
    stored = stored_universe(lake, dataset, session)
    can_differ = anew and not isinstance(spec, TickerList)
    if stored is not None and stored.spec_hash == spec.hash and not can_differ:
        return stored
    # A plan that is tried again asks on where the last one broke off, whichever run it belongs to.
    page_log = StagedPages(lake, paths.stage(dataset, session, _STAGE), session)
    universe, pages = resolve(spec, rest, session, lake.clock.now(), page_log)
    raw = rawfiles.keep(lake, _RAW_FOLDER, session, stage_id, pages, prefix=dataset)
    universe = structs.replace(universe, raw=raw)
    store_universe(lake, dataset, session, universe)
    page_log.clear()
    log.info("universe settled", dataset=dataset, session=session.isoformat(), origin=universe.origin)
    return universe


def resolve(
    spec: UniverseSpec, rest: PolygonRest, session: date, now: datetime, page_log: PageLog | None = None
) -> tuple[Universe, tuple[RawPage, ...]]:
    """Return who a list or rule means on a session, and the vendor's answers that say so; nothing is stored.

    Raises
    ------
    ConfigError
        The rule gives no ticker.
    VendorError
        No complete answer.
    """
    if isinstance(spec, TickerList):
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


def named_universe(config: Config, dataset: str) -> Universe | None:
    """Return the tickers of a dataset's list; None for a rule, which only the vendor can resolve."""
    spec = config.source(dataset).universe
    return _listed(spec, None) if isinstance(spec, TickerList) else None


def _listed(spec: TickerList, now: datetime | None) -> Universe:
    return Universe(spec.required, spec.best_effort, origin=spec.origin, spec_hash=spec.hash, resolved_utc=now)


def _sorted(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(chain(*groups)))
