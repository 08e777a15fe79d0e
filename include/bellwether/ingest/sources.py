"""The sources: one row each. Everything else about capturing them is the same for all."""

from collections.abc import Callable, Mapping
from typing import Final

from bellwether.config import Config
from bellwether.sources.contracts import ListedContracts
from bellwether.sources.indices import IndexBars
from bellwether.sources.minute_bars import MinuteBars
from bellwether.sources.options_snapshot import OptionsSnapshot
from bellwether.sources.reference import DIVIDENDS, RATES, SPLITS, TICKERS
from bellwether.sources.source import Source

_MAKERS: Final[Mapping[str, Callable[[Config], Source]]] = {
    "equities": lambda _config: MinuteBars("equities"),
    "contracts": lambda config: ListedContracts(config.sources.options.contracts),
    "options": lambda _config: MinuteBars("options"),
    "options_snapshot": lambda _config: OptionsSnapshot(),
    "indices": lambda _config: IndexBars("indices"),
    "splits": lambda _config: SPLITS,
    "dividends": lambda _config: DIVIDENDS,
    "rates": lambda _config: RATES,
    "tickers": lambda _config: TICKERS,
}

CAPTURED: Final = tuple(sorted(_MAKERS))
"""The datasets that are captured from the vendor."""


def source_of(config: Config, dataset: str) -> Source:
    """Return the source of a dataset, as configured."""
    return _MAKERS[dataset](config)
