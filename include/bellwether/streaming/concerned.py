"""Whom the gaps of a session concern: of everything, the session's universe and everyone who was heard besides.

A feed of all stocks has tickers that no universe names, some of them heard for the first time after a gap was closed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from functools import cached_property

from bellwether.config import Config
from bellwether.errors import ConfigError, VendorError
from bellwether.ingest.universe import DISCOVERED_IN, known_universe, resolve
from bellwether.lake import Lake, Universe
from bellwether.logging import get_logger
from bellwether.sources.raw import RawPage
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.gaps import ALL, Gap
from bellwether.tickers import Family
from bellwether.universe.spec import malformed_among, shown

_FAMILIES: Mapping[str, Family] = {"equities": "equity", "options": "option", "indices": "index"}

log = get_logger(__name__)


class Concerned:
    """Whom the gaps of one streamed (dataset, session) concern.

    Parameters
    ----------
    lake, config, dataset, session
        Of what.
    heard
        Returns everyone of whom something was recorded; called when it is wanted, at most once.
    tickers
        Who was streamed, where that is neither the universe nor all there are.

    Attributes
    ----------
    unknown
        Why nobody knows whom a gap of everything concerns, where that is so.
    """

    def __init__(
        self,
        lake: Lake,
        config: Config,
        dataset: str,
        session: date,
        heard: Callable[[], Iterable[str]],
        tickers: Collection[str],
    ) -> None:
        self._config = config
        self._dataset = dataset
        self._session = session
        self._names = heard
        self._tickers = frozenset(tickers)
        named = Universe(tuple(sorted(tickers))) if tickers else None
        self._universe = named or known_universe(lake, config, dataset, session)
        self.unknown = f"nobody has published yet which {dataset} there are"

    def resolve(self, rest: PolygonRest, now: datetime) -> tuple[RawPage, ...]:
        """Ask whom a rule means that no plan has resolved yet, and return the answers; the universe stays unsettled."""
        if self._universe is not None or self._dataset in DISCOVERED_IN:
            return ()
        try:
            self._universe, pages = resolve(self._config.universe(self._dataset), rest, self._session, now)
        except (ConfigError, VendorError) as error:
            self.unknown = f"nobody knows whom the universe means: {type(error).__name__}: {error}"
            return ()
        return pages

    def knows(self, gap: Gap) -> bool:
        """Return whether everyone can be named whom a gap concerns."""
        return gap.symbols != ALL or gap.closed_utc is not None or self._universe is not None

    def of(self, gap: Gap) -> set[str]:
        """Return whom a gap concerns; of a closed one, everyone who may have been unknown when it was closed."""
        if gap.symbols != ALL:
            return set(gap.symbols)
        if self._tickers:
            return set(self._tickers)
        named = self._universe.tickers if self._universe is not None and gap.closed_utc is None else ()
        return {*self._heard, *named}

    def is_required(self, ticker: str) -> bool:
        """Return whether the session has to have a ticker."""
        is_named = self._universe is not None and ticker in self._universe.required
        return is_named and self._config.source(self._dataset).required

    @cached_property
    def malformed(self) -> list[str]:
        """Who was heard under a name that nobody can be asked for."""
        names = sorted(malformed_among(self._recorded, _FAMILIES[self._dataset]))
        if names:
            log.warning("not asked for, being no tickers", names=shown(map(repr, names)))
        return names

    @cached_property
    def _heard(self) -> set[str]:
        return self._recorded - set(self.malformed)

    @cached_property
    def _recorded(self) -> set[str]:
        return set(self._names())
