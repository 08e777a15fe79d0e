from datetime import date

import pytest

from bellwether.simulator.requestlog import RequestLog, Requests, key_id

DAY = date(2024, 7, 2)
LOG = Requests(
    [
        RequestLog("/v2/aggs/a", {}, "SPY", DAY, key_id("one"), status=200),
        RequestLog("/v2/aggs/b", {}, "SPY", date(2024, 7, 3), key_id("two"), status=429),
        RequestLog("/v1/marketstatus/now", {}, None, None, key_id("one"), status=200),
    ]
)


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        ({}, [0, 1, 2]),
        ({"path": "/v2"}, [0, 1]),
        ({"ticker": "SPY", "session": DAY}, [0]),
        ({"key": key_id("one")}, [0, 2]),
        ({"status": 429}, [1]),
        ({"ticker": "QQQ"}, []),
    ],
)
def test_requests_are_found_by_what_they_asked(wanted: dict[str, object], rows: list[int]) -> None:
    assert LOG.where(**wanted) == [LOG[row] for row in rows]  # type: ignore[arg-type]


def test_a_key_is_known_by_a_short_hash() -> None:
    assert len(key_id("secret")) == 8
    assert key_id("secret") != key_id("other")
    assert key_id("") == ""
