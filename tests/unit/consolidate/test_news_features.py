from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from bellwether.calendar import get_calendar
from bellwether.config.features import NewsSettings
from bellwether.consolidate.grid import session_grid
from bellwether.consolidate.news_features import NewsFeatures, known_ms, news_features
from bellwether.schemas import NEWS
from tests.unit.consolidate.market import DAY, HALF_DAY

GRID = session_grid(DAY)
HOURS = get_calendar().hours(DAY)
SETTINGS = NewsSettings(windows_min=(5, 30), backfill_latency_s=60)
LATER = timedelta(days=30)


def article(
    minute: float,
    *,
    seen: float | timedelta | None = None,
    sentiment: float | None = 0.5,
    version: int = 1,
    **changes: Any,
) -> dict[str, Any]:
    """Return a row published and seen so many minutes after the opening; where seen is a time span, that much later."""
    published = HOURS.open + timedelta(minutes=minute)
    seen_after = seen if isinstance(seen, timedelta) else timedelta(minutes=0 if seen is None else seen - minute)
    texts = {field.name: "" for field in NEWS if field.type == pa.string()}
    return {
        **texts,
        "article_id": "a",
        "ticker": "SPY",
        "published_utc": published,
        "first_seen_utc": published + seen_after,
        "version": version,
        "sentiment": sentiment,
        **changes,
    }


def features(
    *rows: dict[str, Any], settings: NewsSettings = SETTINGS, tickers: tuple[str, ...] = ("SPY",)
) -> NewsFeatures:
    return news_features(pa.Table.from_pylist(list(rows), schema=NEWS), tickers, GRID, settings)


def counts(found: NewsFeatures, window: int = 0) -> list[int]:
    return [row[window] for row in found.counts.to_pylist()]


def sentiments(found: NewsFeatures, window: int = 0) -> list[float | None]:
    return [row[window] for row in found.sentiments.to_pylist()]


def test_an_article_counts_from_the_minute_in_which_it_became_known_until_the_window_has_passed() -> None:
    found = features(article(10.5))
    assert np.nonzero(counts(found))[0].tolist() == [10, 11, 12, 13, 14]
    assert np.nonzero(counts(found, 1))[0].tolist() == [*range(10, 40)]
    assert sentiments(found)[9:16] == [None, 0.5, 0.5, 0.5, 0.5, 0.5, None]
    assert found.minutes_since.to_pylist()[9:13] == [None, 0.5, 1.5, 2.5]


def test_a_window_includes_the_minutes_end_and_not_its_own_beginning() -> None:
    assert np.nonzero(counts(features(article(10.0))))[0].tolist() == [9, 10, 11, 12, 13]


def test_what_was_captured_live_is_known_when_first_seen() -> None:
    found = features(article(10.5, seen=20.5))
    assert np.nonzero(counts(found))[0].tolist() == [20, 21, 22, 23, 24]
    assert found.minutes_since.to_pylist()[19:22] == [None, 0.5, 1.5]


def test_what_was_backfilled_is_known_a_latency_after_its_publication() -> None:
    found = features(article(10.5, seen=LATER))
    assert np.nonzero(counts(found))[0].tolist() == [11, 12, 13, 14, 15]
    slow = NewsSettings(windows_min=(5,), backfill_latency_s=600)
    assert np.nonzero(counts(features(article(10.5, seen=LATER), settings=slow)))[0].tolist() == [20, 21, 22, 23, 24]


@pytest.mark.parametrize(("seen_s", "is_live"), [(0, True), (1, False)])
def test_live_is_what_was_seen_by_the_close_of_its_own_session(seen_s: int, *, is_live: bool) -> None:
    half_day = get_calendar().hours(HALF_DAY)
    published = half_day.open + timedelta(minutes=1)
    seen = half_day.close + timedelta(seconds=seen_s)
    table = pa.Table.from_pylist([article(0) | {"published_utc": published, "first_seen_utc": seen}], schema=NEWS)
    expected = seen if is_live else published + timedelta(seconds=60)
    assert known_ms(table, 60).tolist() == [1000 * expected.timestamp()]


def test_news_of_the_night_is_live_when_seen_by_the_next_close() -> None:
    published = get_calendar().hours(HALF_DAY).close + timedelta(hours=1)
    seen = get_calendar().hours(get_calendar().next(HALF_DAY)).open
    table = pa.Table.from_pylist([article(0) | {"published_utc": published, "first_seen_utc": seen}], schema=NEWS)
    assert known_ms(table, 60).tolist() == [1000 * seen.timestamp()]


def test_at_each_minute_the_version_known_last_judges_and_the_article_counts_once() -> None:
    found = features(
        article(10.5, sentiment=1.0),
        article(10.5, seen=12.5, sentiment=-1.0, version=2),
        article(11.5, article_id="b", sentiment=0.0),
    )
    assert counts(found)[9:17] == [0, 1, 2, 2, 2, 2, 1, 0]
    assert sentiments(found)[9:17] == [None, 1.0, 0.5, -0.5, -0.5, -0.5, 0.0, None]
    assert found.minutes_since.to_pylist()[10:14] == [0.5, 0.5, 1.5, 2.5], "a change is no new article"


def test_a_version_seen_after_the_window_changes_nothing_in_it() -> None:
    found = features(article(10.5, sentiment=1.0), article(10.5, seen=12.5, sentiment=None, version=2))
    assert sentiments(found)[10:15] == [1.0, 1.0, None, None, None]
    assert counts(found)[10:16] == [1, 1, 1, 1, 1, 0]
    again = features(article(10.5, sentiment=1.0), article(10.5, seen=300.0, sentiment=-1.0, version=2))
    assert sentiments(again)[10:15] == [1.0] * 5
    assert counts(again)[300] == 0


def test_a_change_seen_by_a_backfill_was_not_known_in_the_session() -> None:
    found = features(
        article(10.5, seen=LATER, sentiment=1.0), article(10.5, seen=LATER + LATER, sentiment=-1.0, version=2)
    )
    assert sentiments(found)[11:16] == [1.0] * 5


def test_no_news_is_a_count_of_none_and_no_dataset_is_null() -> None:
    quiet, absent = features(), news_features(None, ["SPY"], GRID, SETTINGS)
    assert counts(quiet) == [0] * 390
    assert sentiments(quiet) == [None] * 390
    assert quiet.minutes_since.null_count == 390
    assert absent.counts.flatten().null_count == 2 * 390
    assert absent.minutes_since.null_count == 390


def test_the_night_before_counts_on_the_clock_and_other_tickers_do_not() -> None:
    found = features(article(-3.5), article(-70.5, article_id="b", ticker="QQQ"), tickers=("AAPL", "SPY"))
    assert counts(found)[:390] == [0] * 390
    assert counts(found)[390:395] == [1, 0, 0, 0, 0]
    assert found.minutes_since.to_pylist()[390:392] == [4.5, 5.5]


def test_a_window_reaches_no_further_back_than_a_sessions_news() -> None:
    opened = session_grid(DAY, extended=True).ends_ms[0]
    close = get_calendar().hours(get_calendar().previous(DAY)).close
    longest = NewsSettings(windows_min=(720,)).windows_min[0]
    assert opened - longest * 60_000 >= close.timestamp() * 1000
    with pytest.raises(ValidationError, match="less than or equal to 720"):
        NewsSettings(windows_min=(721,))


def plainly(news: list[dict[str, Any]], end: float, window: float) -> tuple[int, float | None, float | None]:
    """Compute one minute by the words of the module: times in minutes since the opening."""
    known: dict[str, list[tuple[float, int, float | None]]] = {}
    for row in news:
        seen = (row["first_seen_utc"] - HOURS.open) / timedelta(minutes=1)
        published = (row["published_utc"] - HOURS.open) / timedelta(minutes=1)
        when = seen if row["version"] > 1 or row["first_seen_utc"] <= HOURS.close else published + 1
        if when <= end:
            known.setdefault(row["article_id"], []).append((when, row["version"], row["sentiment"]))
    arrivals = {key: min(versions)[0] for key, versions in known.items()}
    inside = [key for key, arrived in arrivals.items() if arrived > end - window]
    judged = [score for key in inside if (score := max(known[key], key=lambda version: version[:2])[2]) is not None]
    return (
        len(inside),
        sum(judged) / len(judged) if judged else None,
        end - max(arrivals.values()) if arrivals else None,
    )


def test_the_features_are_what_plain_loops_compute() -> None:
    rng = np.random.default_rng(3)
    rows = []
    for number in range(40):
        published = float(rng.integers(-20, 380 * 4)) / 4
        for version in range(1, int(rng.integers(1, 4)) + 1):
            seen = LATER * version if rng.random() < 0.3 else published + 7.25 * (version - 1)
            score = None if rng.random() < 0.2 else float(rng.integers(-4, 5)) / 4
            rows.append(article(published, seen=seen, sentiment=score, version=version, article_id=f"{number}"))
    found = features(*[rows[place] for place in rng.permutation(len(rows))])
    for window, length in enumerate(SETTINGS.windows_min):
        expected = [plainly(rows, minute + 1.0, length) for minute in range(390)]
        assert counts(found, window) == [count for count, _, _ in expected]
        assert sentiments(found, window) == pytest.approx([mean for _, mean, _ in expected], abs=1e-12)
        assert found.minutes_since.to_pylist() == [since for _, _, since in expected]
