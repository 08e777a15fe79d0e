"""Which DAG publishes which datasets: the one home of their names.

Read when DAG files are parsed, so this room imports nothing heavy.
"""

from collections.abc import Mapping
from typing import Final

DATASETS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "equities_daily": ("equities",),
    "daily_bars": ("daily_bars",),
    "options_discovery": ("contracts",),
    "options_daily": ("options",),
    "options_snapshot": ("options_snapshot",),
    "indices_daily": ("indices",),
    "news_daily": ("news",),
    "reference_daily": ("splits", "dividends", "rates", "tickers"),
}
"""By `dag_id`."""

DAG_OF: Final[Mapping[str, str]] = {
    dataset: dag_id for dag_id, published in DATASETS_OF.items() for dataset in published
}
"""The `dag_id` of the DAG that publishes a dataset."""
