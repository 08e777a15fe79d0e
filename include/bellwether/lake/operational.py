"""Publishing what is written down of the datasets themselves: made of what stands in the lake, whoever asks for it."""

from collections.abc import Callable
from datetime import date

import pyarrow as pa

from bellwether.config import Config
from bellwether.errors import InputsChanged, LakeError
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.lake import Lake
from bellwether.lake.layout import FileLayout
from bellwether.lake.manifest import Coverage, TickerCoverage
from bellwether.lake.publish import MOST_ROUNDS, Publication
from bellwether.schemas import OPERATIONAL
from bellwether.tickers import WHOLE


def operational(
    dataset: str,
    config: Config,
    session: date,
    run_id: str,
    table: pa.Table,
    *,
    inputs: dict[str, str],
    warnings: dict[str, int],
) -> GoldSubmission:
    """Return the rows of an operational dataset, in any order, on their way into their partition."""
    key = OPERATIONAL[dataset].key
    return GoldSubmission(
        dataset=dataset,
        session=session,
        table=table.sort_by([(name, "ascending") for name in key]).combine_chunks(),
        coverage={WHOLE: TickerCoverage(Coverage.COMPLETE, rows=len(table))},
        stage_id="",
        run_id=run_id,
        config_hash=config.hash,
        timings_s={},
        inputs=inputs,
        warnings=warnings,
    )


def publish_operational(
    lake: Lake, config: Config, compose: Callable[[], GoldSubmission], inputs_now: Callable[[], dict[str, str]]
) -> Publication:
    """Publish what `compose` returns, made anew as often as its inputs change meanwhile.

    Raises
    ------
    LakeError
        They changed too often, or the storage refused.
    """
    for _ in range(MOST_ROUNDS):
        made = compose()
        layout = FileLayout(config.sinks.of(made.dataset), config.settings.lake.compression)
        try:
            return publish_gold(lake, made, layout, inputs_now)
        except InputsChanged:
            continue
    msg = f"{made.dataset} {made.session}: {MOST_ROUNDS} times its inputs changed meanwhile; try again"
    raise LakeError(msg)
