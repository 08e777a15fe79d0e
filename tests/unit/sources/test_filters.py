"""What may be asked of a listing, and how it is written for the vendor."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from bellwether.sources.endpoints import CONTRACTS, DIVIDENDS, ENDPOINTS, INDICES_SNAPSHOT, NEWS, TICKERS
from bellwether.sources.filters import write
from bellwether.sources.listing import ListingChain

NEW_YORK_SUMMER = timezone(timedelta(hours=-4))


@pytest.mark.parametrize(
    ("endpoint", "filters", "parameters"),
    [
        (NEWS, {"published_utc.gt": datetime(2024, 6, 23, 20, tzinfo=NEW_YORK_SUMMER)}, "2024-06-24T00:00:00Z"),
        (INDICES_SNAPSHOT, {"ticker.any_of": ("I:VIX",)}, "I:VIX"),
        (CONTRACTS, {"strike_price": 0.1 + 0.2}, "0.30000000000000004"),
        (CONTRACTS, {"expired": True}, "true"),
        (TICKERS, {"search": "S&P 500"}, "S&P 500"),
    ],
    ids=["an instant as UTC", "one of any_of whole", "a number in full", "a flag", "a text"],
)
def test_a_value_is_written_as_the_vendor_reads_it(endpoint: Any, filters: dict[str, Any], parameters: str) -> None:
    assert list(write(endpoint.filters, filters, endpoint.name).values()) == [parameters]


@pytest.mark.parametrize(
    ("endpoint", "filters", "words"),
    [
        (TICKERS, {"tickers": "SPY"}, "tickers cannot be asked by 'tickers'; by ticker"),
        (TICKERS, {"ticker.any_of": ["SPY"]}, "cannot be asked by 'ticker.any_of'"),
        (TICKERS, {"ticker.": "SPY"}, "cannot be asked by 'ticker.'"),
        (TICKERS, {"limit": 10}, "cannot be asked by 'limit'"),
        (TICKERS, {"date": datetime(2024, 7, 3, tzinfo=UTC)}, "filter date: .* is no date"),
        (TICKERS, {"date": "2024-07-03"}, "is no date"),
        (TICKERS, {"active": "true"}, "neither True nor False"),
        (TICKERS, {"market": "bonds"}, "none of stocks, crypto"),
        (TICKERS, {"type": ""}, "is no plain text"),
        (NEWS, {"published_utc": datetime(2024, 7, 3)}, "no datetime with a time zone"),  # noqa: DTZ001 - refused
        (NEWS, {"published_utc": date(2024, 7, 3)}, "no datetime with a time zone"),
        (NEWS, {"ticker": "../x"}, "is not a ticker"),
        (CONTRACTS, {"strike_price": math.nan}, "no finite number"),
        (CONTRACTS, {"strike_price": math.inf}, "no finite number"),
        (CONTRACTS, {"strike_price": "470"}, "no finite number"),
        (DIVIDENDS, {"ticker": "I:VIX"}, "is not a ticker"),
        (INDICES_SNAPSHOT, {"ticker.any_of": "I:VIX"}, "takes a sequence of 1 to 250"),
        (INDICES_SNAPSHOT, {"ticker.any_of": []}, "takes a sequence of 1 to 250"),
        (INDICES_SNAPSHOT, {"ticker.any_of": ["I:VIX"] * 251}, "takes a sequence of 1 to 250"),
        (INDICES_SNAPSHOT, {"ticker.any_of": ["I:VIX,I:SPX"]}, "no plain text"),
    ],
)
def test_what_the_vendor_would_misread_is_refused_by_name(endpoint: Any, filters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        write(endpoint.filters, filters, endpoint.name)


def test_what_stands_in_the_path_must_be_asked() -> None:
    with pytest.raises(ValueError, match="open_close must be asked by day"):
        ListingChain.asking(ENDPOINTS["open_close"], {"ticker": "SPY"})
