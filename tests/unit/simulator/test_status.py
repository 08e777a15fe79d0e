from datetime import UTC, datetime

import pytest

from bellwether.simulator.status import market_status, upcoming


@pytest.mark.parametrize(
    ("now", "market", "early", "after"),
    [
        ("2024-07-02T07:59:59", "closed", False, False),
        ("2024-07-02T08:00:00", "extended-hours", True, False),
        ("2024-07-02T13:30:00", "open", False, False),
        ("2024-07-02T19:59:59", "open", False, False),
        ("2024-07-02T20:00:00", "extended-hours", False, True),
        ("2024-07-03T00:00:00", "closed", False, False),
        ("2025-07-03T17:00:00", "extended-hours", False, True),  # half day: closed at 13:00 New York
        ("2025-07-04T15:00:00", "closed", False, False),  # holiday
        ("2025-01-09T15:00:00", "closed", False, False),  # national day of mourning
        ("2024-12-03T14:00:00", "extended-hours", True, False),  # winter: opens at 14:30 UTC
    ],
)
def test_market_status_follows_the_session(now: str, market: str, early: bool, after: bool) -> None:
    status = market_status(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert (status["market"], status["earlyHours"], status["afterHours"]) == (market, early, after)
    assert status["exchanges"] == {"nasdaq": market, "nyse": market, "otc": market}


def test_server_time_carries_new_yorks_offset() -> None:
    assert market_status(datetime(2024, 7, 2, 16, tzinfo=UTC))["serverTime"] == "2024-07-02T12:00:00-04:00"


@pytest.mark.parametrize(
    ("now", "fx"),
    [
        ("2024-07-05T20:59:59", "open"),
        ("2024-07-05T21:00:00", "closed"),
        ("2024-07-07T20:59:59", "closed"),
        ("2024-07-07T21:00:00", "open"),
    ],
)
def test_currencies_rest_at_the_weekend(now: str, fx: str) -> None:
    status = market_status(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert status["currencies"] == {"crypto": "open", "fx": fx}


def test_upcoming_days_are_in_the_future_one_row_per_exchange() -> None:
    rows = upcoming(datetime(2024, 7, 2, 12, tzinfo=UTC))
    assert rows[:4] == [
        {
            "date": "2024-07-03",
            "exchange": exchange,
            "name": "Half day",
            "status": "early-close",
            "open": "2024-07-03T13:30:00.000Z",
            "close": "2024-07-03T17:00:00.000Z",
        }
        for exchange in ("NYSE", "NASDAQ")
    ] + [
        {"date": "2024-07-04", "exchange": exchange, "name": "Market holiday", "status": "closed"}
        for exchange in ("NYSE", "NASDAQ")
    ]
    assert all("2024-07-02" < row["date"] <= "2025-07-02" for row in rows)
