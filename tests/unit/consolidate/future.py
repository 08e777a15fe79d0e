"""Another future behind a minute, for the tests that nothing before it knows of it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.config.features import NewsSettings
from bellwether.consolidate.grid import MINUTE_MS
from bellwether.consolidate.news_features import known_ms
from bellwether.schemas import EQUITIES, NEWS
from tests.unit.consolidate.market import DAY


def articles(tickers: Sequence[str], seed: int) -> pa.Table:
    """Return articles in two versions each, some of the second still to come at any minute."""
    close = get_calendar().hours(DAY).close
    rng = np.random.default_rng(seed)
    texts = {field.name: "" for field in NEWS if field.type == pa.string()}
    rows: list[dict[str, Any]] = []
    for number in range(60):
        published = close - timedelta(minutes=int(rng.integers(0, 500)), seconds=int(rng.integers(0, 60)))
        rows.extend(
            texts
            | {
                "article_id": f"{number}",
                "ticker": tickers[number % len(tickers)],
                "published_utc": published,
                "first_seen_utc": published + timedelta(minutes=float(rng.exponential(60)) * version),
                "version": version,
                "sentiment": float(rng.normal()),
            }
            for version in (1, 2)
        )
    return pa.Table.from_pylist(rows, schema=NEWS)


def with_another_future(bars: pa.Table, end_ms: int, rng: np.random.Generator) -> pa.Table:
    """Return bars of which all that are not known by then are others, at other minutes."""
    known = pc.less_equal(bars["ts"].cast(pa.int64()), end_ms - MINUTE_MS)
    past, future = bars.filter(known), bars.filter(pc.invert(known))
    order = rng.permutation(len(future))
    mixed = {name: future[name].take(pa.array(order)) for name in EQUITIES.names[2:]}
    mixed["close"] = pc.multiply(mixed["close"], 3.0)
    table = pa.table({"ticker": future["ticker"], "ts": future["ts"], **mixed}, schema=EQUITIES)
    return pa.concat_tables([past, table.filter(pa.array(rng.random(len(table)) < 0.7))])


def with_other_news(news: pa.Table, end_ms: int, rng: np.random.Generator) -> pa.Table:
    """Return articles of which all versions that are not known by then are others, and some are missing."""
    known = known_ms(news, NewsSettings().backfill_latency_s) <= end_ms
    sentiment = np.where(known, news["sentiment"].to_numpy(), rng.normal(size=len(news)))
    changed = news.set_column(NEWS.get_field_index("sentiment"), NEWS.field("sentiment"), pa.array(sentiment))
    return changed.filter(pa.array(known | (rng.random(len(news)) < 0.5)))
