"""Rows of which less is asked: only where somebody said so, and everything else stays as strict as it was."""

import msgspec
import pytest

from bellwether.sources.loosened import Looser, loosened
from bellwether.sources.rows import Article, Contract, OptionSnapshot

ARTICLE = {
    "id": "a",
    "title": "t",
    "published_utc": "2025-07-01T12:00:00Z",
    "article_url": "http://x",
    "tickers": ["A"],
    "publisher": {"name": "p"},
    "insights": [{"ticker": "A", "sentiment": "positive"}, {"ticker": "B", "sentiment": "mixed"}],
}
WORDS = Looser(texts=frozenset({"insights.sentiment"}))


def test_a_field_deep_in_a_row_may_say_any_text_and_no_other_may() -> None:
    read = msgspec.convert(ARTICLE, loosened(Article, WORDS))
    assert isinstance(read, Article)
    assert [insight.sentiment for insight in read.insights or ()] == ["positive", "mixed"]
    with pytest.raises(msgspec.ValidationError, match=r"insights"):
        msgspec.convert(ARTICLE | {"insights": [{"ticker": "A", "sentiment": 1}]}, loosened(Article, WORDS))
    with pytest.raises(msgspec.ValidationError, match="sentiment"):
        msgspec.convert(ARTICLE | {"insights": [{"ticker": "A"}]}, loosened(Article, WORDS))
    assert msgspec.convert({**ARTICLE, "insights": None}, loosened(Article, WORDS)).insights is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(ARTICLE, Article)


def test_a_promised_field_may_lack_or_be_null() -> None:
    lacking = loosened(OptionSnapshot, Looser(lacking=frozenset({"last_trade.price", "last_trade.size"})))
    terms = {"ticker": "O:A250703C00600000", "contract_type": "call", "exercise_style": "american"}
    terms |= {"expiration_date": "2025-07-03", "strike_price": 600, "shares_per_contract": 100}
    row = {"details": terms, "underlying_asset": {"ticker": "A"}, "last_trade": {"size": None}}
    read = msgspec.convert(row, lacking)
    assert read.last_trade is not None
    assert (read.last_trade.price, read.last_trade.size, read.details.strike_price) == (None, None, 600.0)
    with pytest.raises(msgspec.ValidationError, match="strike_price"):
        msgspec.convert(row | {"details": {**terms, "strike_price": None}}, lacking)


def test_rows_of_one_looseness_are_of_one_class_and_equal_ones_are_equal() -> None:
    row = {"ticker": "O:A250703C00600000", "underlying_ticker": "A", "contract_type": "odd"}
    row |= {"exercise_style": "american", "expiration_date": "2025-07-03"}
    row |= {"strike_price": 600, "shares_per_contract": 100}
    by = Looser(texts=frozenset({"contract_type"}))
    assert loosened(Contract, by) is loosened(Contract, Looser(texts=frozenset({"contract_type"})))
    one, other = (msgspec.convert(row, loosened(Contract, by)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
