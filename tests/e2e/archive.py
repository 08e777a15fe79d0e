"""What an archive's own tables say: the expectations of the tests that capture one, counted with pandas.

Nothing here asks the sources, the gate or the selection. Times, symbols and rules are worked out once more.
"""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from bellwether.calendar import NEW_YORK, get_calendar

COLUMNS = {"t": "ts", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume", "vw": "vwap"} | {
    "n": "transactions"
}
PRICES = ["open", "high", "low", "close"]
LISTED = {"underlying_ticker": "underlying", "contract_type": "right", "expiration_date": "expiration"} | {
    "strike_price": "strike",
    "shares_per_contract": "multiplier",
}
OPEN, CLOSE = 9 * 60 + 30, 16 * 60  # minutes of the New York day
_SATURDAY = 5
_AM_SETTLED, _PM_SETTLED = "SPX", "SPXW"


def bars_of(archive: Path, pattern: str) -> pd.DataFrame:
    """Return the bars of all tables of a kind under the lake's column names, with file, New York date and minute."""
    files = sorted(archive.glob(pattern))
    assert files, f"no {pattern} in {archive}"
    found = pd.concat([pd.read_parquet(file).assign(file=file.name) for file in files]).rename(columns=COLUMNS)
    found["ts"] = pd.to_datetime(found["ts"], unit="ms", utc=True)
    local = found["ts"].dt.tz_convert(NEW_YORK)
    found["session"], found["minute"] = local.dt.date, 60 * local.dt.hour + local.dt.minute
    return found.sort_values(["session", "ticker", "ts"], ignore_index=True)


def contracts_of(archive: Path) -> pd.DataFrame:
    """Return all listed contracts under the lake's column names, with their last day of trading."""
    listed = pd.concat([pd.read_parquet(file) for file in sorted(archive.glob("contracts_*.parquet"))])
    listed = listed.rename(columns=LISTED).sort_values("ticker", ignore_index=True)
    listed["expiration"] = pd.to_datetime(listed["expiration"]).dt.date
    # Saturdays count as Friday; SPX is settled by the opening prices of the day after its last one.
    ends_before = [
        day.weekday() == _SATURDAY or root == _AM_SETTLED
        for day, root in zip(listed["expiration"], roots_of(listed), strict=True)
    ]
    listed["last_day"] = listed["expiration"] - np.where(ends_before, timedelta(days=1), timedelta(0))
    return listed


def roots_of(frame: pd.DataFrame) -> pd.Series:
    """Return the root in each option symbol."""
    return frame["ticker"].str[2:-15]


def trading_until(listed: pd.DataFrame, session: date, days: int) -> pd.DataFrame:
    """Return the contracts that still trade on a session and last do so at most as many days after it."""
    left = listed["last_day"] - session
    return listed[(left >= timedelta(0)) & (left <= timedelta(days=days))]


def near(listed: pd.DataFrame, opening_price: float) -> pd.DataFrame:
    """Return the contracts whose strike is within 1 % of a price: decimal arithmetic on the symbols."""
    price = Decimal(str(opening_price))
    return listed[[abs(Decimal(ticker[-8:]) / 1000 - price) <= price / 100 for ticker in listed["ticker"]]]


def is_late(option_bars: pd.DataFrame) -> pd.Series:
    """Return which bars start at the end of their contract's own trading or later."""
    roots, expires = roots_of(option_bars), option_bars["ticker"].str[-15:-9]
    is_last_day = expires == pd.to_datetime(option_bars["session"]).dt.strftime("%y%m%d")
    until_quarter_past = (roots == _AM_SETTLED) | ((roots == _PM_SETTLED) & ~is_last_day)
    return option_bars["minute"] >= CLOSE + 15 * until_quarter_past


def is_stale(index_bars: pd.DataFrame) -> pd.Series:
    """Return which bars of a session lie after the close and repeat the index's close before in all prices."""
    before = index_bars.groupby("ticker")["close"].shift()
    return (index_bars["minute"] >= CLOSE) & index_bars[PRICES].eq(before, axis=0).all(axis=1)


def oddities(bars: pd.DataFrame) -> dict[str, int]:
    """Count what the manifests' warnings count of any traded ticker's bars."""
    cents = bars[PRICES] * 100
    sub_penny = ((cents - cents.round()).abs() > 1e-6) & (bars[PRICES] >= 1)
    return {
        "vwap_outside_range": int(((bars["vwap"] < bars["low"]) | (bars["vwap"] > bars["high"])).sum()),
        "sub_penny_price": int(sub_penny.any(axis=1).sum()),
        "null_vwap": int(bars["vwap"].isna().sum()),
        "null_transactions": int(bars["transactions"].isna().sum()),
        "duplicates_dropped": 0,
    }


def missing_minutes(bars: pd.DataFrame, session: date) -> int:
    """Count the regular minutes without a bar, over all tickers."""
    hours = get_calendar().hours(session)
    regular = bars["ts"].between(hours.open, hours.close, inclusive="left")
    return int(bars["ticker"].nunique() * hours.expected_minutes() - regular.sum())


def same_values(published: pd.DataFrame, archived: pd.DataFrame, columns: list[str]) -> None:
    """Compare value for value: order, nulls and the columns named."""
    left, right = (frame[columns].reset_index(drop=True).astype({"ticker": str}) for frame in (published, archived))
    pd.testing.assert_frame_equal(left, right, check_dtype=False, check_exact=True)
