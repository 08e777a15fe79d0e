"""The sources: one row each. Everything else about capturing them is the same for all."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bellwether.calendar import SessionHours
from bellwether.config import Config
from bellwether.news.sentiment import LexiconExtractor
from bellwether.sources import daily_bars, news
from bellwether.sources.contracts import ListedContracts
from bellwether.sources.daily_bars import DailyBars
from bellwether.sources.indices import IndexBars
from bellwether.sources.minute_bars import MinuteBars
from bellwether.sources.news import NewsFeed
from bellwether.sources.options_snapshot import OptionsSnapshot
from bellwether.sources.reference import DIVIDENDS, RATES, SPLITS, TICKERS
from bellwether.sources.source import Answer, Source

_MAKERS: Final[Mapping[str, Callable[[Config], Source]]] = {
    "equities": lambda _config: MinuteBars("equities"),
    "daily_bars": lambda _config: DailyBars(),
    "contracts": lambda config: ListedContracts(config.sources.options.contracts),
    "options": lambda _config: MinuteBars("options"),
    "options_snapshot": lambda _config: OptionsSnapshot(),
    "indices": lambda _config: IndexBars("indices"),
    "news": lambda _config: NewsFeed(LexiconExtractor()),
    "splits": lambda _config: SPLITS,
    "dividends": lambda _config: DIVIDENDS,
    "rates": lambda _config: RATES,
    "tickers": lambda _config: TICKERS,
}

LEFT_OUT: Final[Mapping[str, Callable[[Sequence[Answer], SessionHours], dict[str, int]]]] = {
    "daily_bars": daily_bars.left_out,
    "news": news.left_out,
}
"""What of the answers becomes no row, counted by `WarningName`; elsewhere all of them does."""

CAPTURED: Final = tuple(sorted(_MAKERS))
"""The datasets that are captured from the vendor."""


def source_of(config: Config, dataset: str) -> Source:
    """Return the source of a dataset, as configured."""
    return _MAKERS[dataset](config)
