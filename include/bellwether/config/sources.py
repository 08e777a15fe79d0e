"""`sources.yaml`: what is captured, an entry per source."""

from collections.abc import Mapping

from bellwether.config.model import Model
from bellwether.options.rules import ContractSelection
from bellwether.universe.spec import DEFAULT_TICKERS, IndexList, TickerList, UniverseSpec, WholeFeed


class SourceSettings(Model):
    """One entry.

    Attributes
    ----------
    required
        Whether a session is ready only when it stands; otherwise a plan that does not include it is no failure.
    """

    required: bool = False


class EquitySettings(SourceSettings):
    """What is captured of equities."""

    required: bool = True
    universe: UniverseSpec = TickerList(required=DEFAULT_TICKERS)


class ChainSettings(SourceSettings):
    """What is captured of option chains: `universe` are underlyings, as the vendor lists their contracts."""

    universe: TickerList = TickerList(required=("AAPL", "SPY"))


class OptionSettings(ChainSettings):
    """What is captured of single contracts, their bars and their list alike.

    Attributes
    ----------
    contracts
        Which contracts of the underlyings.
    """

    contracts: ContractSelection = ContractSelection()


class IndexSettings(SourceSettings):
    """What is captured of indices."""

    universe: IndexList = IndexList(required=("I:VIX",))


class ReferenceSettings(SourceSettings):
    """What is captured of the equities' tickers beside their bars."""


class FeedSettings(SourceSettings):
    """What is captured of a dataset whose rows are asked for all at once."""

    @property
    def universe(self) -> WholeFeed:
        """All of it."""
        return WholeFeed()


type AnySource = EquitySettings | ChainSettings | OptionSettings | IndexSettings | ReferenceSettings | FeedSettings

ENTRIES: Mapping[str, str] = {"contracts": "options"}
"""Of datasets that share the entry of another."""


class Sources(Model):
    """`sources.yaml`."""

    equities: EquitySettings = EquitySettings()
    daily_bars: FeedSettings = FeedSettings()
    options: OptionSettings = OptionSettings()
    options_snapshot: ChainSettings = ChainSettings()
    indices: IndexSettings = IndexSettings()
    news: FeedSettings = FeedSettings()
    splits: ReferenceSettings = ReferenceSettings()
    dividends: ReferenceSettings = ReferenceSettings()
    rates: FeedSettings = FeedSettings()
    tickers: ReferenceSettings = ReferenceSettings()
