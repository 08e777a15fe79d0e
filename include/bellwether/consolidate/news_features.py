"""What the news said by the end of each minute: how many articles, how they judged, how long ago the last one came.

An article is known from when it was first seen, if that was while its session lasted: it was captured live. Captured
after its session's close it counts from its publication and a latency on; a change of it, whose time nobody knows,
only from when the change was seen. At every minute the version known last is the one that judges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.config.features import NewsSettings
from bellwether.consolidate.grid import MINUTE_MS, Integers, MinuteGrid


@dataclass(frozen=True)
class NewsFeatures:
    """Columns for the minutes of the last session, ticker by ticker; all null where there is no news dataset.

    Attributes
    ----------
    counts
        A list per row: articles that became known within each trailing window, the minute's end included.
    sentiments
        A list per row: the mean sentiment of those that have one; null where none has.
    minutes_since
        Since the last article became known, on the clock: nights and weekends count. Null where none is known.
    """

    counts: pa.FixedSizeListArray
    sentiments: pa.FixedSizeListArray
    minutes_since: pa.DoubleArray


def news_features(
    news: pa.Table | None, tickers: Sequence[str], grid: MinuteGrid, settings: NewsSettings
) -> NewsFeatures:
    """Compute the features.

    Parameters
    ----------
    news
        Rows as NEWS of any sessions, any order; None where there is no such dataset, which is not the same as no news.
    tickers
        Whose rows, in their order.
    grid
        Of its last session the minutes.
    settings
        The windows, and when what was not captured live counts as known.
    """
    ends_ms = grid.ends_ms[grid.last_session]
    sizes = (len(settings.windows_min), len(tickers), len(ends_ms))
    counts, scored = np.zeros((2, *sizes), np.int32)
    totals = np.zeros(sizes)
    last_ms = np.full(sizes[1:], -1)
    if news is not None:
        for row in _known_rows(news, tickers, ends_ms, settings):
            for window, leaves in enumerate(row.leaves):
                stay = slice(row.begins, min(row.ends, leaves))
                counts[window, row.ticker, stay] += 1
                if not np.isnan(row.sentiment):
                    scored[window, row.ticker, stay] += 1
                    totals[window, row.ticker, stay] += row.sentiment
            later = last_ms[row.ticker, row.begins :]
            np.maximum(later, row.arrived_ms, out=later)
    means = np.divide(totals, scored, out=np.full(sizes, np.nan), where=scored > 0)
    absent = news is None
    since = (ends_ms - last_ms) / MINUTE_MS
    return NewsFeatures(
        _lists(counts, np.full(sizes, absent)),
        _lists(means, np.isnan(means)),
        pa.array(since.ravel(), mask=(last_ms < 0).ravel()),
    )


def known_ms(news: pa.Table, backfill_latency_s: int) -> Integers:
    """Return when each row was known, ms UTC; the module says by which rule.

    Parameters
    ----------
    news
        Rows as NEWS.
    backfill_latency_s
        How long after its publication an article counts as known that was not captured live.
    """
    published, seen = (news[name].cast(pa.int64()).to_numpy() for name in ("published_utc", "first_seen_utc"))
    if not len(news):
        return np.zeros(0, np.int64)
    calendar = get_calendar()
    first, last = (datetime.fromtimestamp(ms / 1000, UTC).astimezone(NEW_YORK).date() for ms in _range(published))
    sessions = calendar.sessions(first, calendar.next(last))
    closes = np.array([int(calendar.hours(session).close.timestamp()) * 1000 for session in sessions], np.int64)
    is_live = seen <= closes[np.searchsorted(closes, published)]
    is_first = news["version"].to_numpy() == 1
    known: Integers = np.where(is_first & ~is_live, published + backfill_latency_s * 1000, seen)
    return known


class _Version(NamedTuple):
    """One version of an article about one ticker: its number; when its article arrived.

    Minutes by number: from `begins` on it is the one that judges, from `ends` on no more; `leaves` says when its
    article is too old for each window.
    """

    ticker: int
    arrived_ms: int
    begins: int
    ends: int
    leaves: list[int]
    sentiment: float


def _known_rows(news: pa.Table, tickers: Sequence[str], ends_ms: Integers, settings: NewsSettings) -> list[_Version]:
    """Return the versions known by the last minute, in the order in which they became known."""
    known = known_ms(news, settings.backfill_latency_s)
    named = pc.is_in(news["ticker"], pa.array(tickers, pa.string())).to_numpy()
    news = news.append_column("known", pa.array(known)).filter(pa.array(named & (known <= ends_ms[-1])))
    news = news.sort_by([(name, "ascending") for name in ("ticker", "article_id", "known", "version")])
    known = news["known"].to_numpy()
    keys = list(zip(news["ticker"].to_pylist(), news["article_id"].to_pylist(), strict=True))
    place = {ticker: number for number, ticker in enumerate(tickers)}
    windows_ms = MINUTE_MS * np.array(settings.windows_min)
    begins = [*np.searchsorted(ends_ms, known).tolist(), len(ends_ms)]
    versions = []
    arrived_ms = 0
    for row, (key, sentiment) in enumerate(zip(keys, news["sentiment"].to_numpy().tolist(), strict=True)):
        if row == 0 or key != keys[row - 1]:
            arrived_ms = int(known[row])
        is_last = key != keys[row + 1] if row + 1 < len(keys) else True
        ends = len(ends_ms) if is_last else begins[row + 1]
        leaves = np.searchsorted(ends_ms, arrived_ms + windows_ms).tolist()
        versions.append(_Version(place[key[0]], arrived_ms, begins[row], ends, leaves, sentiment))
    return [versions[number] for number in np.argsort(known, kind="stable")]


def _range(times_ms: Integers) -> tuple[int, int]:
    return int(times_ms.min()), int(times_ms.max())


def _lists(values: np.ndarray, mask: np.ndarray) -> pa.FixedSizeListArray:  # type: ignore[type-arg]
    """Return a list per row of the last two axes, with an item for each of the first."""
    flat = pa.array(np.moveaxis(values, 0, -1).ravel(), mask=np.moveaxis(mask, 0, -1).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, len(values))
