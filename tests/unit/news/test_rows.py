import time
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwether.news.rows import news_rows, tickers_of
from bellwether.news.versions import merge_versions
from bellwether.schemas import NEWS
from tests.unit.news.articles import PUBLISHED, Fixed, article, insight

SEEN = datetime(2025, 7, 1, 15, tzinfo=UTC)
LATER = SEEN + timedelta(hours=1)


def rows(*articles: object, seen: datetime = SEEN) -> pa.Table:
    return news_rows(articles, seen, Fixed())  # type: ignore[arg-type]


def test_a_row_holds_what_was_said_and_how_it_sounds() -> None:
    made = rows(
        article(
            title="Halverton <b>tops</b> estimates", author="", description="It&#39;s up.", keywords=["a", "<p>", " b "]
        )
    )
    assert made.schema.equals(NEWS)
    row = made.to_pylist()[0]
    assert len(row.pop("content_hash")) == 64
    assert row == {
        "article_id": "a1",
        "ticker": "HLV",
        "published_utc": PUBLISHED,
        "first_seen_utc": SEEN,
        "version": 1,
        "title": "Halverton tops estimates",
        "description": "It's up.",
        "author": None,
        "publisher": "Loopback Wire",
        "article_url": "https://wire.example.com/a1",
        "keywords": "a|b",
        "language": "en",
        "sentiment": 0.5,
        "sentiment_label": "positive",
        "sentiment_source": "fixed-1",
        "sentiment_reasoning": None,
    }


def test_no_articles_are_no_rows_with_all_columns() -> None:
    assert news_rows([], SEEN, Fixed()).equals(NEWS.empty_table())


def test_articles_without_tickers_give_no_rows_and_malformed_tickers_are_told_apart() -> None:
    mixed = article(id="a2", tickers=["X:BTCUSD", "../x", "A", "A", "BRK.A"])
    made = rows(article(tickers=[]), mixed, article(tickers=["\u00e9"]))
    assert made["ticker"].to_pylist() == ["A", "BRK.A"]
    assert tickers_of(mixed) == (["A", "BRK.A"], ["../x", "X:BTCUSD"])


def test_a_separator_within_a_keyword_separates_nothing() -> None:
    assert rows(article(keywords=["a|b", "c"]))["keywords"].to_pylist() == ["a b|c"]


def test_a_time_finer_than_the_column_is_null_and_never_cut_off() -> None:
    made = rows(article(published_utc=PUBLISHED + timedelta(microseconds=1500)))
    assert made["published_utc"].to_pylist() == [None]


def test_first_sight_is_rounded_up_to_what_the_column_holds() -> None:
    made = rows(article(), seen=SEEN + timedelta(microseconds=1001))
    assert made["first_seen_utc"].to_pylist() == [SEEN + timedelta(milliseconds=2)]


def test_rows_are_in_order_of_ticker_and_time_whatever_the_order_of_articles() -> None:
    articles = [
        article(id="b", tickers=["B", "A"]),
        article(id="a", tickers=["A"], published_utc=PUBLISHED + timedelta(1)),
    ]
    made = rows(*articles)
    assert made.equals(rows(*reversed(articles)))
    assert list(zip(made["ticker"].to_pylist(), made["article_id"].to_pylist(), strict=True)) == [
        ("A", "b"),
        ("A", "a"),
        ("B", "b"),
    ]


def test_a_repeated_article_is_one_row_also_with_its_time_in_another_zone() -> None:
    elsewhere = article(published_utc=PUBLISHED.astimezone(timezone(timedelta(hours=-4))))
    assert rows(article(), article(), elsewhere).equals(rows(article()))


def test_ten_thousand_tickers_are_judged_once_and_fast() -> None:
    tickers = [f"A{number}" for number in range(10_000)]
    extractor = Fixed()
    about = article(tickers=tickers, insights=[insight(ticker, "neutral") for ticker in tickers[:5_000]])
    began = time.process_time()
    made = news_rows([about], SEEN, extractor)
    assert time.process_time() - began < 10
    assert len(made) == 10_000
    assert extractor.asked.total() == 1


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        news_rows([], datetime(2025, 7, 1), Fixed())  # noqa: DTZ001


def test_a_repeated_answer_keeps_the_instant_of_first_sight() -> None:
    assert merge_versions(rows(article()), rows(article(), seen=LATER)).equals(rows(article()))


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Halverton misses estimates"},
        {"description": "More."},
        {"author": "A. Writer"},
        {"keywords": ["earnings"]},
        {"published_utc": PUBLISHED + timedelta(minutes=1)},
        {"insights": [insight("HLV", "negative", "why")]},
    ],
)
def test_what_changes_is_the_next_version_with_its_own_first_sight(change: dict[str, object]) -> None:
    merged = merge_versions(rows(article()), rows(article(**change), seen=LATER)).sort_by("version")
    assert merged["version"].to_pylist() == [1, 2]
    assert merged["first_seen_utc"].to_pylist() == [SEEN, LATER]
    assert merged.filter(pa.array([True, False])).equals(rows(article()))


def test_a_judgement_of_one_ticker_makes_no_version_of_another() -> None:
    first = rows(article(tickers=["A", "B"]))
    judged = rows(article(tickers=["A", "B"], insights=[insight("A", "negative")]), seen=LATER)
    merged = merge_versions(first, judged)
    assert merged.select(["ticker", "version"]).to_pylist() == [
        {"ticker": "A", "version": 1},
        {"ticker": "A", "version": 2},
        {"ticker": "B", "version": 1},
    ]


def test_articles_that_vanish_from_the_answer_stay() -> None:
    first = rows(article(), article(id="a2"))
    assert merge_versions(first, rows(article(), seen=LATER)).equals(first)
    assert merge_versions(first, NEWS.empty_table()).equals(first)


@st.composite
def answers(draw: st.DrawFn) -> pa.Table:
    told = st.builds(
        article,
        id=st.sampled_from(["a1", "a2"]),
        title=st.sampled_from(["Up", "Down"]),
        tickers=st.lists(st.sampled_from(["A", "B"]), max_size=2),
        insights=st.sampled_from([None, [insight("A", "negative")], [insight("A", "positive")]]),
    )
    seen = SEEN + timedelta(minutes=draw(st.integers(0, 3)))
    return news_rows(draw(st.lists(told, max_size=4)), seen, Fixed())


@settings(deadline=None, max_examples=60)
@given(answers(), answers(), answers())
def test_merging_is_a_union(a: pa.Table, b: pa.Table, c: pa.Table) -> None:
    assert merge_versions(a, a).equals(a)
    assert merge_versions(a, b).equals(merge_versions(b, a))
    assert merge_versions(merge_versions(a, b), c).equals(merge_versions(a, merge_versions(b, c)))
    merged = merge_versions(a, b)
    key = ["article_id", "ticker", "content_hash"]
    kept = {
        tuple(row.values()): seen
        for row, seen in zip(merged.select(key).to_pylist(), merged["first_seen_utc"].to_pylist(), strict=True)
    }
    for part in (a, b):
        for row, seen in zip(part.select(key).to_pylist(), part["first_seen_utc"].to_pylist(), strict=True):
            assert kept[tuple(row.values())] <= seen
