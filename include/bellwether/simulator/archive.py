"""A folder of real history served as it is: bar and reference tables, whatever days they hold.

Bars come from `bars_equity*`, `bars_option*` (columns `ticker, t, o, h, l, c, v, vw, n` with `t` the bar's start in ms
UTC, `vw` and `n` nullable), `bars_index*` (`ticker, t, o, h, l, c`) and `vix_daily*`. Contracts, open interest, quotes
and rates come from tables of those names. What the folder lacks there is none of: no splits, dividends, news, models.
This room reads files and cuts them by day. It repairs, filters and sorts away nothing.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.calendar import NEW_YORK
from bellwether.errors import ConfigError
from bellwether.simulator.bars import EMPTY, NO_COUNT, Bars, BarSource
from bellwether.simulator.days import midnight_ms
from bellwether.simulator.records import (
    NEVER,
    Article,
    Contract,
    ContractQuery,
    Dividend,
    Listing,
    Quotes,
    Split,
    TreasuryYield,
)

_EQUITIES = "bars_equity*.parquet"
_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()
_INDEX = pa.schema([("ticker", _TEXT), ("t", _COUNT), *((name, _NUMBER) for name in ("o", "h", "l", "c"))])
_BARS = pa.schema([*_INDEX, ("v", _NUMBER), ("vw", _NUMBER), ("n", _COUNT)])
_DAILY = pa.schema(
    [("ticker", _TEXT), ("date", _TEXT), *((name, _NUMBER) for name in ("open", "high", "low", "close"))]
)
_RATES = pa.schema([("date", _TEXT), ("rate", _NUMBER)])
_OPEN_INTEREST = pa.schema([("ticker", _TEXT), ("date", _TEXT), ("open_interest", _COUNT)])
_CONTRACTS = pa.schema(
    [(name, _TEXT) for name in ("ticker", "underlying_ticker", "contract_type", "exercise_style", "expiration_date")]
    + [("strike_price", _NUMBER), ("shares_per_contract", _COUNT)]
)
_QUOTES = pa.schema(
    [("ticker", _TEXT), ("t", _COUNT), ("bid", _NUMBER), ("ask", _NUMBER), ("bid_size", _COUNT), ("ask_size", _COUNT)]
)
_NULLABLE = ("vw", "n", "bid", "ask")
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_SHORT_MATURITIES = ("yield_1_month", "yield_3_month", "yield_6_month", "yield_1_year")


class ArchiveMarket:
    """The tables of a folder.

    Parameters
    ----------
    folder
        Where the tables lie.
    start, end
        First and last New York date served; None leaves that side open.

    Raises
    ------
    ConfigError
        The folder has no equity table, or a table is not of the format; names the file.
    """

    def __init__(self, folder: Path, *, start: date | None = None, end: date | None = None) -> None:
        if not any(folder.glob(_EQUITIES)):
            msg = f"archive {folder}: no file {_EQUITIES}"
            raise ConfigError(msg)
        self._start, self._end = start or date.min, end or date.max
        self._bars: dict[tuple[str, date], Bars] = {}
        equities = _read(folder, _EQUITIES, _BARS)
        self.tickers = frozenset(equities["ticker"].unique().to_pylist())
        for table in (
            equities,
            _read(folder, "bars_option*.parquet", _BARS),
            _read(folder, "bars_index*.parquet", _INDEX),
        ):
            self._split(table.sort_by([("ticker", "ascending"), ("t", "ascending")]))
        self._daily = {
            (row["ticker"], date.fromisoformat(row["date"])): _day_bar(row)
            for row in _read(folder, "vix_daily*.parquet", _DAILY).to_pylist()
        }
        self._contracts = [Contract(**row) for row in _read(folder, "contracts*.parquet", _CONTRACTS).to_pylist()]
        self._open_interest: dict[tuple[str, str], int] = {
            (row["ticker"], row["date"]): row["open_interest"]
            for row in _read(folder, "open_interest*.parquet", _OPEN_INTEREST).to_pylist()
        }
        # By preference: hours only tell of contracts whose minutes the archive lacks.
        self._quotes = [
            self._quote_table(_read(folder, "quotes_option_[!h]*.parquet", _QUOTES), _MINUTE_MS),
            self._quote_table(_read(folder, "quotes_option_hourly*.parquet", _QUOTES), _HOUR_MS),
        ]
        self._rates = _read(folder, "rates*.parquet", _RATES).sort_by("date").to_pylist()
        self._days = sorted({day for _, day in (*self._bars, *self._daily) if self._start <= day <= self._end})
        self._known = self.tickers | {ticker for ticker, _ in (*self._bars, *self._daily)}
        self._known |= {contract.ticker for contract in self._contracts}

    def has_ticker(self, ticker: str) -> bool:
        """Return whether any table holds `ticker`."""
        return ticker in self._known

    def days(self, start: date, end: date) -> list[date]:
        """Return the dates of which any ticker has bars, from `start` to `end`, ascending."""
        return [day for day in self._days if start <= day <= end]

    def bars(self, ticker: str, day: date) -> Bars:
        """Return the bars of `ticker` on `day`, verbatim; none where the archive has none."""
        return self._bars.get((ticker, day), EMPTY)

    def daily(self, ticker: str, day: date) -> Bars:
        """Return the day bar of a table of day bars."""
        return self._daily.get((ticker, day), EMPTY)

    def scale(self, _ticker: str, _day: date, _until: date) -> float:
        """Return 1: the archive knows of no splits."""
        return 1.0

    def equities(self) -> Sequence[str]:
        """Return the tickers of the equity tables."""
        return sorted(self.tickers)

    def listings(self, _day: date) -> Iterator[Listing]:
        """Yield what the bar tables tell of symbols: that they are there."""
        for ticker in sorted(self.tickers):
            yield Listing(ticker=ticker, name=ticker, market="stocks", active=True)
        for ticker in sorted(ticker for ticker in self._known if ticker.startswith("I:")):
            yield Listing(ticker=ticker, name=ticker, market="indices", active=True)

    def splits(self, _ticker: str | None) -> tuple[Split, ...]:
        """Return none."""
        return ()

    def dividends(self, _ticker: str | None) -> tuple[Dividend, ...]:
        """Return none."""
        return ()

    def articles(
        self, _first: datetime, _last: datetime, _ticker: str | None, *, newest_first: bool, as_of: datetime
    ) -> Iterator[Article]:
        """Return none."""
        del newest_first, as_of
        return iter(())

    def yields(self, first: date, last: date) -> Iterator[TreasuryYield]:
        """Yield the table of rates as short yields, one row per change: an as-of join finds the rate of any day."""
        for row in self._rates:
            if first.isoformat() <= row["date"] <= last.isoformat():
                percent = round(100 * row["rate"], 6)
                yield TreasuryYield(row["date"], **dict.fromkeys(_SHORT_MATURITIES, percent))

    def contracts(self, query: ContractQuery) -> Iterator[Contract]:
        """Yield the contracts asked for; when one was listed is not known, so all live until they expire."""
        first, last, as_of = query.first.isoformat(), query.last.isoformat(), query.as_of.isoformat()
        for contract in self._contracts:
            if (
                query.underlying in {None, contract.underlying_ticker}
                and first <= contract.expiration_date <= last
                and (contract.expiration_date < as_of) == query.expired
            ):
                yield contract

    def spot(self, underlying: str, moment: datetime) -> float | None:
        """Return the underlying's last close by `moment`, of that or an earlier day of the archive."""
        if not any(contract.underlying_ticker == underlying for contract in self._contracts):
            return None
        ticker = f"I:{underlying}" if f"I:{underlying}" in self._known else underlying
        return last_close(self, ticker, moment)

    def quotes(self, _underlying: str, contracts: Sequence[Contract], moment: datetime) -> Quotes:
        """Return the last quotes by `moment`; a row is of its end, so that none tells of a minute or hour under way."""
        now_ms = int(moment.timestamp() * 1000)
        found = [self._last_quote(contract.ticker, now_ms) for contract in contracts]
        bid, ask, bid_size, ask_size, updated_ms = np.array(found, dtype=np.float64).reshape(-1, 5).T
        return Quotes(bid, ask, bid_size.astype(np.int64), ask_size.astype(np.int64), updated_ms.astype(np.int64))

    def model(self, _underlying: str, _contracts: Sequence[Contract], _moment: datetime) -> None:
        """Return nothing: the archive has no model."""
        return

    def open_interest(self, contract: Contract, day: date) -> int | None:
        """Return the open interest published on `day`, which is that of the session before; None without a row."""
        return self._open_interest.get((contract.ticker, day.isoformat()))

    def _last_quote(self, ticker: str, now_ms: int) -> tuple[float, float, float, float, float]:
        for table in self._quotes:
            rows = table.get(ticker)
            if rows is None:
                continue
            known = int(np.searchsorted(rows.updated_ms, now_ms, side="right"))
            if known:
                return tuple(float(column[known - 1]) for column in rows)  # type: ignore[return-value]
        return np.nan, np.nan, 0.0, 0.0, float(NEVER)

    def _quote_table(self, table: pa.Table, span_ms: int) -> dict[str, Quotes]:
        """Return each ticker's quotes on the days served, ascending; a row's quote is the one its span ends with."""
        table = table.sort_by([("ticker", "ascending"), ("t", "ascending")])
        start_ms = table["t"].to_numpy()
        last = date.max if self._end == date.max else self._end + timedelta(days=1)
        low_ms = -np.inf if self._start == date.min else midnight_ms(self._start)
        high_ms = np.inf if last == date.max else midnight_ms(last)
        names = table["ticker"].combine_chunks().dictionary_encode()
        columns = [table[name].to_numpy() for name in ("bid", "ask", "bid_size", "ask_size")]
        rows = Quotes._make([*columns, start_ms + span_ms])
        codes = names.indices.to_numpy()
        bounds = [*np.flatnonzero(np.diff(codes, prepend=-1)), len(codes)]
        tables = {}
        for low, high in pairwise(bounds):
            served = slice(
                low + int(np.searchsorted(start_ms[low:high], low_ms)),
                low + int(np.searchsorted(start_ms[low:high], high_ms)),
            )
            tables[names.dictionary[int(codes[low])].as_py()] = Quotes._make(column[served] for column in rows)
        return tables

    def _split(self, table: pa.Table) -> None:
        bars = _columns(table)
        tickers = table["ticker"].combine_chunks().dictionary_encode()
        local = pd.to_datetime(bars.start_ms, unit="ms", utc=True).tz_convert(NEW_YORK)
        day_number = local.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64)
        codes = tickers.indices.to_numpy()
        changes = np.flatnonzero((np.diff(codes, prepend=-1) != 0) | (np.diff(day_number, prepend=-1) != 0))
        names = tickers.dictionary.to_pylist()
        for low, high in pairwise([*changes, len(codes)]):
            day = local[low].date()
            if self._start <= day <= self._end:
                self._bars[names[codes[low]], day] = bars.rows(slice(low, high))


def last_close(market: BarSource, ticker: str, moment: datetime) -> float | None:
    """Return the close of a ticker's last minute that is over by `moment`, of that day or an earlier one."""
    for day in reversed(market.days(date.min, moment.astimezone(NEW_YORK).date())):
        bars = market.bars(ticker, day)
        over = int(np.searchsorted(bars.start_ms, moment.timestamp() * 1000 - _MINUTE_MS, side="right"))
        if over:
            return float(bars.close[over - 1])
    return None


def _read(folder: Path, pattern: str, schema: pa.Schema) -> pa.Table:
    """Return the rows of all tables of a kind; none where there is no such file."""
    tables = [_read_file(file, schema) for file in sorted(folder.glob(pattern))]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _read_file(file: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.read_table(file).select(schema.names).cast(schema)
    except (KeyError, pa.ArrowException) as error:
        msg = f"archive table {file}: not of the format {', '.join(schema.names)}: {error}"
        raise ConfigError(msg) from error
    nulls = [name for name in schema.names if name not in _NULLABLE and table[name].null_count]
    if nulls:
        msg = f"archive table {file}: null values in {', '.join(nulls)}; only {', '.join(_NULLABLE)} may be null"
        raise ConfigError(msg)
    return table


def _columns(table: pa.Table) -> Bars:
    prices = [table[name].to_numpy() for name in ("t", "o", "h", "l", "c")]
    if "v" not in table.column_names:
        unknown = np.full(len(table), np.nan)
        return Bars._make([*prices, unknown, unknown, np.full(len(table), NO_COUNT)])
    counts = table["n"].fill_null(NO_COUNT).to_numpy()
    return Bars._make([*prices, table["v"].to_numpy(), table["vw"].to_numpy(), counts])


def _day_bar(row: dict[str, object]) -> Bars:
    values = [np.array([row[name]]) for name in ("open", "high", "low", "close")]
    unknown = np.array([np.nan])
    start = np.array([midnight_ms(date.fromisoformat(str(row["date"])))])
    return Bars._make([start, *values, unknown, unknown, np.array([NO_COUNT])])
