"""Time to settlement under both conventions, by named contracts."""

from datetime import date, datetime

import numpy as np
import pytest

from bellwether.calendar import NEW_YORK
from bellwether.consolidate.greeks.conventions import BELLWETHER, FROM_BAR_START, Conventions, american_bias

MINUTE_YEARS = 1 / 525_600


def _ms(text: str) -> np.ndarray:
    return np.array([int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp() * 1000)])


def _minutes(conventions: Conventions, root: str, expiration: str, bar: str) -> float:
    settled = conventions.settled_at(root, date.fromisoformat(expiration))
    years = conventions.t_years(_ms(bar), np.array([int(settled.timestamp() * 1000)]))
    return float(years[0] / MINUTE_YEARS)


@pytest.mark.parametrize(
    ("root", "expiration", "bar", "from_bar_end", "from_bar_start"),
    [
        ("AAPL", "2014-06-06", "2014-06-06 15:58", 1, 2),
        ("AAPL", "2014-06-06", "2014-06-06 15:59", 0, 1),  # the last bar ends when the contract is settled
        ("AAPL", "2014-06-06", "2014-06-06 16:05", -6, -5),
        ("AAPL", "2014-06-21", "2014-06-20 15:00", 59, 60 + 1440),  # a Saturday
        ("SPXW", "2021-01-15", "2021-01-15 09:30", 389, 390),
        ("SPX", "2021-01-15", "2021-01-14 16:00", 17 * 60 + 29, 24 * 60),  # settled by the opening
        ("AAPL", "2024-07-03", "2024-07-03 12:00", 59, 240),  # a half day
        ("SPY", "2014-03-10", "2014-03-07 15:59", 3 * 1440 - 60, 3 * 1440 - 59),  # the clocks go forward in between
        ("AAPL", "2031-01-17", "2031-01-17 15:00", 59, 60),  # beyond the sessions known
    ],
)
def test_minutes_to_settlement(
    root: str, expiration: str, bar: str, from_bar_end: float, from_bar_start: float
) -> None:
    assert _minutes(BELLWETHER, root, expiration, bar) == pytest.approx(from_bar_end, abs=1e-6)
    assert _minutes(FROM_BAR_START, root, expiration, bar) == pytest.approx(from_bar_start, abs=1e-6)


def test_american_puts_in_the_money_are_flagged() -> None:
    is_american, is_call = np.array([True, True, True, False]), np.array([False, True, False, False])
    spot, strike = np.full(4, 100.0), np.array([101.0, 101.0, 100.0, 101.0])
    assert american_bias(is_american, is_call, spot, strike).tolist() == [True, False, False, False]
