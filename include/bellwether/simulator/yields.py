"""Treasury yields of a generated market, in percent, on the bond market's days.

Bonds rest on Columbus Day and Veterans Day when stocks trade, and some maturities did not always exist.
"""

from datetime import date
from functools import cache
from itertools import accumulate

import numpy as np

from bellwether.calendar import get_calendar
from bellwether.simulator.bars import Floats
from bellwether.simulator.records import TreasuryYield
from bellwether.simulator.seeds import draw

_MATURITIES = {
    "yield_1_month": 1 / 12,
    "yield_3_month": 0.25,
    "yield_6_month": 0.5,
    "yield_1_year": 1.0,
    "yield_2_year": 2.0,
    "yield_3_year": 3.0,
    "yield_5_year": 5.0,
    "yield_7_year": 7.0,
    "yield_10_year": 10.0,
    "yield_20_year": 20.0,
    "yield_30_year": 30.0,
}
# The Treasury published no such yield in these ranges (home.treasury.gov, daily par yield curve, notes).
_ABSENT = {
    "yield_1_month": (date.min, date(2001, 7, 30)),
    "yield_30_year": (date(2002, 2, 19), date(2006, 2, 8)),
}
_COLUMBUS_DAY, _VETERANS_DAY = "Columbus Day", "Veterans Day"


def bond_holiday(day: date) -> str | None:
    """Return the name of the holiday on which bonds rest while stocks may trade, or None."""
    if day.month == 10 and day.weekday() == 0 and 8 <= day.day <= 14:
        return _COLUMBUS_DAY
    observed = (day.month, day.day) == (11, 11) or ((day.month, day.day) == (11, 12) and day.weekday() == 0)
    return _VETERANS_DAY if observed else None


class Yields:
    """A curve for every day: short and long end wander, maturities between them follow."""

    def __init__(self, seed: int) -> None:
        calendar = get_calendar()
        sessions = calendar.sessions(calendar.first, calendar.last)
        self._curve = cache(self._draw_curve)
        self._index = {day: number for number, day in enumerate(sessions)}
        self._short = _wander(draw(seed, "rates", "short"), len(sessions), middle=2.5, step=0.03)
        self._long = _wander(draw(seed, "rates", "long"), len(sessions), middle=4.0, step=0.03)

    def between(self, first: date, last: date) -> list[TreasuryYield]:
        """Return the curves from `first` to `last`, ascending; none on bond holidays."""
        days = get_calendar().sessions(first, last)
        return [self._curve(day) for day in days if bond_holiday(day) is None]

    def rate(self, day: date) -> float:
        """Return the three-month yield of a session, a fraction; on a bond holiday that of the day before."""
        while bond_holiday(day) is not None:
            day = get_calendar().previous(day)
        return round(self._yield(self._index[day], 0.25), 2) / 100

    def _draw_curve(self, day: date) -> TreasuryYield:
        known = {
            name: round(self._yield(self._index[day], years), 2)
            for name, years in _MATURITIES.items()
            if not (name in _ABSENT and _ABSENT[name][0] <= day <= _ABSENT[name][1])
        }
        return TreasuryYield(day.isoformat(), **known)

    def _yield(self, number: int, years: float) -> float:
        short, long = self._short[number], self._long[number]
        return float(long + (short - long) * np.exp(-years / 3))


def _wander(rng: np.random.Generator, count: int, *, middle: float, step: float) -> Floats:
    """Return a path that stays between 0.05 and 9 percent and returns to its middle within years."""
    steps = (step * rng.standard_normal(count)).tolist()
    path = accumulate(
        steps, lambda level, move: min(max(level + 0.001 * (middle - level) + move, 0.05), 9.0), initial=middle
    )
    return np.array(list(path)[1:])
