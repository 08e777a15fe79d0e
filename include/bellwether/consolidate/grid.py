"""The minutes of sessions in a row, and where times and bars stand in it.

The night between two sessions takes no room. A minute is named by its START, as bars are, and what happened in it is
known at its end. Knows the calendar, and nothing of what is computed on the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bellwether.calendar import get_calendar
from bellwether.errors import QualityError
from bellwether.schemas import TIMESTAMP

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MINUTE_MS = 60_000
_BLOCK = 65_536  # rows that are looked up at once: their intermediate results stay in the cache


@dataclass(frozen=True, eq=False)
class MinuteGrid:
    """Minutes in order of time, the last session's at the end.

    Attributes
    ----------
    sessions
        The sessions, ascending.
    begins
        Of each session the number of its first minute, and at the end that of all minutes.
    opens
        Of each session the number of the minute that begins with the regular opening.
    closes
        Of each session the number of the first minute after the regular close. Both are one past the session's last
        minute where it has not come so far.
    starts_ms
        When each minute starts, ms UTC.
    """

    sessions: tuple[date, ...]
    begins: Integers
    opens: Integers
    closes: Integers
    starts_ms: Integers

    def __len__(self) -> int:
        return len(self.starts_ms)

    @property
    def ends_ms(self) -> Integers:
        """When each minute is over, and its bar known."""
        return self.starts_ms + MINUTE_MS

    @property
    def last_session(self) -> slice:
        """Where the minutes of the last session stand; those before are its warm-up."""
        return slice(int(self.begins[-2]), len(self))

    @property
    def session_numbers(self) -> Integers:
        """Of which session each minute is, counted from 0."""
        return np.repeat(np.arange(len(self.sessions)), np.diff(self.begins))

    @property
    def stretches(self) -> Integers:
        """Of each minute the first one after the last opening: nothing is carried from before it.

        Extended trading opens too, so there are two in a session with extended hours.
        """
        minutes = np.arange(len(self))
        own, opens = self.begins[self.session_numbers], self.opens[self.session_numbers]
        return np.where(minutes < opens, own, opens)

    def ts(self) -> pa.Array:
        """Return the starts as a time column."""
        return pa.array(self.starts_ms).cast(TIMESTAMP)

    def find(self, ts_ms: Integers) -> npt.NDArray[np.int32]:
        """Return in which minute each time lies, -1 for those outside."""
        found = np.full(len(ts_ms), -1, np.int32)
        for start in range(0, len(ts_ms), _BLOCK):
            times_ms, block = ts_ms[start : start + _BLOCK], found[start : start + _BLOCK]
            for begin, end in zip(self.begins[:-1], self.begins[1:], strict=True):
                minute = (times_ms - self.starts_ms[begin]) // MINUTE_MS + begin
                np.copyto(block, minute, casting="same_kind", where=(minute >= begin) & (minute < end))
        return found


class Trades(NamedTuple):
    """Bars on a grid, tickers x minutes; NaN in all five where nothing was traded, or a value is no number."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def session_grid(
    session: date, *, warmup_sessions: int = 0, extended: bool = False, until: datetime | None = None
) -> MinuteGrid:
    """Return the minutes of a session, after those of the sessions before it.

    Parameters
    ----------
    session
        The exchange date.
    warmup_sessions
        How many sessions before it.
    extended
        From 04:00 to 20:00 New York instead of the regular hours, which end at 13:00 on half days.
    until
        Of the session itself only minutes that are over by then; all by default.

    Raises
    ------
    NotASession
        `session` is not a trading session.
    """
    calendar = get_calendar()
    sessions = [session]
    for _ in range(warmup_sessions):
        sessions.insert(0, calendar.previous(sessions[0]))
    starts, opens, closes, begins = [], [], [], [0]
    for day in sessions:
        hours = calendar.hours(day)
        first = _ms(hours.pre_open if extended else hours.open)
        minutes = hours.expected_minutes(extended=extended)
        if until is not None and day == session:
            minutes = min(max((_ms(until) - first) // MINUTE_MS, 0), minutes)
        starts.append(first + MINUTE_MS * np.arange(minutes))
        begins.append(begins[-1] + minutes)
        opens.append(min(begins[-2] + (_ms(hours.open) - first) // MINUTE_MS, begins[-1]))
        closes.append(min(opens[-1] + hours.expected_minutes(), begins[-1]))
    return MinuteGrid(tuple(sessions), np.array(begins), np.array(opens), np.array(closes), np.concatenate(starts))


def rows_on_grid(bars: pa.Table, tickers: Sequence[str], grid: MinuteGrid) -> Integers:
    """Return which row of `bars` is the bar of each ticker and minute.

    Parameters
    ----------
    bars
        Rows with `ticker` and `ts`, any order. Other tickers and minutes outside the grid are left out; of rows that
        are equal in all columns one counts.
    tickers
        What the first axis stands for.
    grid
        What the second axis stands for.

    Returns
    -------
    numpy.ndarray
        Tickers x minutes; -1 where there is no bar.

    Raises
    ------
    QualityError
        Two different bars are of one ticker and minute, or a bar does not begin with a minute.
    """
    coded = bars["ticker"].combine_chunks().dictionary_encode()
    place = {ticker: number for number, ticker in enumerate(tickers)}
    numbers = np.array([place.get(ticker, -1) for ticker in coded.dictionary.to_pylist()], np.int64)
    ticker = numbers[coded.indices.to_numpy()] if len(bars) else np.zeros(0, np.int64)
    ts_ms = bars["ts"].cast(pa.int64()).to_numpy()
    if (ts_ms % MINUTE_MS).any():
        msg = f"a bar of {bars['ticker'][int((ts_ms % MINUTE_MS).argmax())]} does not begin with a minute"
        raise QualityError(msg)
    minute = grid.find(ts_ms)
    [here] = np.nonzero((ticker >= 0) & (minute >= 0))
    rows = np.full((len(tickers), len(grid)), -1)
    rows[ticker[here], minute[here]] = here
    for row in here[rows[ticker[here], minute[here]] != here]:
        other = int(rows[ticker[row], minute[row]])
        if not bars.slice(row, 1).equals(bars.slice(other, 1)):
            ts = bars["ts"][int(row)].as_py().isoformat()
            msg = f"two different bars of {bars['ticker'][int(row)]} begin at {ts}"
            raise QualityError(msg)
    return rows


def minute_rows(bars: pa.Table, rows: Integers, tickers: Sequence[str], grid: MinuteGrid) -> pa.Table:
    """Return a row per ticker and minute of the last session: the bar, or nulls where nothing was traded.

    Parameters
    ----------
    bars
        What was placed on the grid.
    rows
        Where it stands, from `rows_on_grid`.
    tickers
        What its first axis stands for.
    grid
        What its second axis stands for.
    """
    kept = rows[:, grid.last_session].ravel()
    minutes = len(kept) // max(len(tickers), 1)
    table = bars.take(pa.array(kept, mask=kept < 0))
    names = pa.array(tickers, pa.string()).take(pa.array(np.repeat(np.arange(len(tickers)), minutes)))
    ts = pa.array(np.tile(grid.starts_ms[grid.last_session], len(tickers))).cast(TIMESTAMP)
    filled = {"ticker": names, "ts": ts}
    return pa.table({name: filled.get(name, table[name]) for name in table.column_names})


def trades_on_grid(bars: pa.Table, rows: Integers) -> Trades:
    """Return the bars where they stand on the grid.

    Parameters
    ----------
    bars
        What was placed on the grid, in the shares of its last session (`bellwether.lake.adjust`).
    rows
        Where it stands, from `rows_on_grid`.
    """
    columns = [np.append(bars[name].to_numpy(), np.nan) for name in Trades._fields]
    usable = np.logical_and.reduce([np.isfinite(column) for column in columns])
    return Trades(*(np.where(usable, column, np.nan)[rows] for column in columns))


def _ms(instant: datetime) -> int:
    return int(instant.timestamp()) * 1000
