from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bellwether.errors import ConfigError
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.bars import NO_COUNT
from bellwether.simulator.records import NEVER, Contract, ContractQuery

FRIDAY, MONDAY = date(2013, 12, 6), date(2013, 12, 9)


def at(day: date, hour_utc: int, minute: int = 0) -> int:
    return int(datetime(day.year, day.month, day.day, hour_utc, minute, tzinfo=UTC).timestamp()) * 1000


def write(folder: Path, name: str, rows: list[tuple[str, int]], **columns: pa.Array) -> None:
    count = len(rows)
    table = {
        "ticker": pa.array([ticker for ticker, _ in rows], pa.string()),
        "t": pa.array([start for _, start in rows], pa.int64()),
        **{name: pa.array(np.arange(count) + 100.125, pa.float64()) for name in ("o", "h", "l", "c", "v")},
        "vw": pa.array([None] * count, pa.float64()),
        "n": pa.array([None] * count, pa.int64()),
    }
    pq.write_table(pa.table(table | columns), folder / name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # 01:00 UTC on Saturday is 20:00 New York on Friday in winter: the last bar starts at 00:59.
    late = at(date(2013, 12, 7), 0, 59)
    write(
        tmp_path,
        "bars_equity_SPY_2013.parquet",
        [("SPY", at(FRIDAY, 14, 30)), ("SPY", late), ("SPY", at(MONDAY, 9))],
        vw=pa.array([100.03125, None, 7.5]),
        n=pa.array([3, None, 4]),
    )
    write(tmp_path, "bars_equity_more.parquet", [("AAPL", at(MONDAY, 15)), ("SPY", at(FRIDAY, 14, 29))])
    write(tmp_path, "bars_option_AAPL.parquet", [("O:AAPL140613C00645000", at(MONDAY, 15))])
    return tmp_path


def test_bars_of_all_tables_are_cut_by_new_york_date(folder: Path) -> None:
    market = ArchiveMarket(folder)
    assert market.days(date.min, date.max) == [FRIDAY, MONDAY]
    assert market.days(MONDAY, MONDAY) == [MONDAY]
    spy = market.bars("SPY", FRIDAY)
    assert spy.start_ms.tolist() == [at(FRIDAY, 14, 29), at(FRIDAY, 14, 30), at(date(2013, 12, 7), 0, 59)]
    assert market.bars("SPY", MONDAY).start_ms.tolist() == [at(MONDAY, 9)]


def test_values_are_kept_as_they_are_and_nulls_stay_unknown(folder: Path) -> None:
    bars = ArchiveMarket(folder).bars("SPY", FRIDAY)
    assert bars.open.tolist() == [101.125, 100.125, 101.125]
    assert bars.vwap[1] == 100.03125
    assert np.isnan(bars.vwap[[0, 2]]).all()
    assert bars.transactions.tolist() == [NO_COUNT, 3, NO_COUNT]


def test_option_bars_are_served_and_are_no_stocks(folder: Path) -> None:
    market = ArchiveMarket(folder)
    assert market.bars("O:AAPL140613C00645000", MONDAY).start_ms.tolist() == [at(MONDAY, 15)]
    assert market.equities() == ["AAPL", "SPY"]
    assert not market.has_ticker("O:AAPL140613C00650000")


def test_a_known_ticker_without_bars_on_a_day_has_none(folder: Path) -> None:
    assert len(ArchiveMarket(folder).bars("AAPL", FRIDAY).start_ms) == 0


def test_the_range_served_may_be_narrowed(folder: Path) -> None:
    assert ArchiveMarket(folder, start=MONDAY).days(date.min, date.max) == [MONDAY]
    assert ArchiveMarket(folder, end=FRIDAY).days(date.min, date.max) == [FRIDAY]


def test_a_folder_without_equity_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file bars_equity"):
        ArchiveMarket(tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"o": pa.array([None, 1.0])}, "null values in o"),
        ({"t": pa.array(["soon", "later"])}, "not of the format"),
    ],
)
def test_a_table_of_another_format_is_refused_by_name(
    tmp_path: Path, columns: dict[str, pa.Array], message: str
) -> None:
    write(tmp_path, "bars_equity_bad.parquet", [("SPY", 0), ("SPY", 60_000)], **columns)
    with pytest.raises(ConfigError, match=rf"bars_equity_bad\.parquet: {message}"):
        ArchiveMarket(tmp_path)


def test_a_table_that_lacks_a_column_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"ticker": ["SPY"]}), tmp_path / "bars_equity_bad.parquet")
    with pytest.raises(ConfigError, match=r"bars_equity_bad\.parquet"):
        ArchiveMarket(tmp_path)


def test_reference_tables_are_served_and_absent_ones_are_empty(folder: Path) -> None:
    pq.write_table(
        pa.table(
            {
                "ticker": ["O:SPY131213C00180000", "O:SPY131206C00180000"],
                "underlying_ticker": ["SPY", "SPY"],
                "contract_type": ["call", "call"],
                "exercise_style": ["american", "american"],
                "expiration_date": ["2013-12-13", "2013-12-06"],
                "strike_price": [180.0, 180.0],
                "shares_per_contract": [100, 100],
            }
        ),
        folder / "contracts_SPY.parquet",
    )
    interest = {"ticker": ["O:SPY131213C00180000"], "date": ["2013-12-09"], "open_interest": [7]}
    pq.write_table(pa.table(interest), folder / "open_interest_SPY.parquet")
    vix = {"ticker": ["I:VIX"], "date": ["2013-12-09"], "open": [13.5], "high": [14.0], "low": [13.0], "close": [13.25]}
    pq.write_table(pa.table(vix), folder / "vix_daily.parquet")
    pq.write_table(pa.table({"date": ["2010-02-19", "2015-12-17"], "rate": [0.0075, 0.01]}), folder / "rates.parquet")
    market = ArchiveMarket(folder)
    living, expired = (
        list(market.contracts(ContractQuery("SPY", MONDAY, gone, date.min, date.max))) for gone in (False, True)
    )
    assert [contract.expiration_date for contract in (*living, *expired)] == ["2013-12-13", "2013-12-06"]
    assert (market.open_interest(living[0], MONDAY), market.open_interest(expired[0], MONDAY)) == (7, None)
    assert market.daily("I:VIX", MONDAY).close.tolist() == [13.25]
    assert market.daily("I:VIX", MONDAY).start_ms.tolist() == [at(MONDAY, 5)]
    assert [(row.date, row.yield_3_month) for row in market.yields(date.min, MONDAY)] == [("2010-02-19", 0.75)]
    assert market.spot("SPY", datetime(2013, 12, 9, 9, 1, tzinfo=UTC)) == market.bars("SPY", MONDAY).close[-1]
    assert market.spot("AAPL", datetime(2013, 12, 9, 23, tzinfo=UTC)) is None
    assert not list(market.splits(None))
    assert not list(market.dividends(None))
    assert [row.ticker for row in market.listings(MONDAY)] == ["AAPL", "SPY", "I:VIX"]


CALL, PUT, OTHER = "O:SPY131213C00180000", "O:SPY131213P00180000", "O:SPY131213C00190000"


def contract(ticker: str) -> Contract:
    return Contract(
        contract_type="call",
        exercise_style="american",
        expiration_date="2013-12-13",
        strike_price=180.0,
        ticker=ticker,
        underlying_ticker="SPY",
    )


def write_quotes(folder: Path, name: str, rows: list[tuple[str, int, float | None, float | None]]) -> None:
    table = {
        "ticker": pa.array([row[0] for row in rows], pa.string()),
        "t": pa.array([row[1] for row in rows], pa.int64()),
        "bid": pa.array([row[2] for row in rows], pa.float64()),
        "ask": pa.array([row[3] for row in rows], pa.float64()),
        "bid_size": pa.array([0 if row[2] is None else 7 for row in rows], pa.int64()),
        "ask_size": pa.array([0 if row[3] is None else 9 for row in rows], pa.int64()),
    }
    pq.write_table(pa.table(table), folder / name)


@pytest.fixture
def quoted(folder: Path) -> Path:
    minutes = [
        (CALL, at(MONDAY, 15, 0), 1.0, 1.1),
        (CALL, at(MONDAY, 15, 1), None, 1.2),
        (CALL, at(FRIDAY, 15), 3.0, 3.1),
    ]
    write_quotes(folder, "quotes_option_SPY_2013.parquet", minutes)
    hours = [(CALL, at(MONDAY, 14), 8.0, 9.0), (PUT, at(MONDAY, 14), 2.0, 2.5), (PUT, at(MONDAY, 15), None, None)]
    write_quotes(folder, "quotes_option_hourly_SPY_2013.parquet", hours)
    return folder


@pytest.mark.parametrize(
    ("ticker", "now", "expected"),
    [
        (CALL, (MONDAY, 15, 0), (3.0, 3.1, 7, 9, at(FRIDAY, 15, 1))),  # the minute from 15:00 on is not over
        (CALL, (MONDAY, 15, 1), (1.0, 1.1, 7, 9, at(MONDAY, 15, 1))),
        (CALL, (MONDAY, 15, 30), (np.nan, 1.2, 0, 9, at(MONDAY, 15, 2))),
        (CALL, (FRIDAY, 15, 0), (np.nan, np.nan, 0, 0, NEVER)),
        (PUT, (MONDAY, 14, 59), (np.nan, np.nan, 0, 0, NEVER)),  # nor the hour
        (PUT, (MONDAY, 15, 59), (2.0, 2.5, 7, 9, at(MONDAY, 15))),
        (PUT, (MONDAY, 16, 0), (np.nan, np.nan, 0, 0, at(MONDAY, 16))),
        (OTHER, (MONDAY, 16, 0), (np.nan, np.nan, 0, 0, NEVER)),
    ],
)
def test_quotes_are_the_last_of_a_minute_or_hour_that_is_over(
    quoted: Path, ticker: str, now: tuple[date, int, int], expected: tuple[float, ...]
) -> None:
    moment = datetime.fromtimestamp(at(*now) / 1000, UTC)
    quotes = ArchiveMarket(quoted).quotes("SPY", [contract(ticker)], moment)
    assert np.array_equal([column[0] for column in quotes], expected, equal_nan=True)


def test_quotes_of_days_that_are_not_served_are_not_known(quoted: Path) -> None:
    moment = datetime.fromtimestamp(at(MONDAY, 16) / 1000, UTC)
    assert ArchiveMarket(quoted, end=FRIDAY).quotes("SPY", [contract(CALL)], moment).bid[0] == 3.0
    late = ArchiveMarket(quoted, start=MONDAY).quotes("SPY", [contract(CALL)], datetime(2013, 12, 9, 14, tzinfo=UTC))
    assert late.updated_ms[0] == NEVER


def test_a_page_of_no_contracts_has_no_quotes(quoted: Path) -> None:
    assert not len(ArchiveMarket(quoted).quotes("SPY", [], datetime(2013, 12, 9, 15, tzinfo=UTC)).bid)


@pytest.mark.parametrize(
    ("underlying", "file", "span_ms"),
    [
        ("TWX", "quotes_option_TWX_20140606", 60_000),
        ("AAPL", "quotes_option_hourly_AAPL_20140606", 3_600_000),
    ],
)
def test_real_quotes_are_those_of_the_table_at_the_instant(
    archive: Path, underlying: str, file: str, span_ms: int
) -> None:
    market, moment = ArchiveMarket(archive), datetime(2014, 6, 6, 17, 30, 20, tzinfo=UTC)
    rows = pq.read_table(archive / f"{file}.parquet").to_pandas()
    last = rows[rows["t"] + span_ms <= moment.timestamp() * 1000].groupby("ticker").tail(1).set_index("ticker")
    contracts = list(market.contracts(ContractQuery(underlying, date(2014, 6, 6), False, date.min, date.max)))
    quotes = market.quotes(underlying, contracts, moment)
    known = quotes.updated_ms != NEVER
    assert {c.ticker for c, there in zip(contracts, known, strict=True) if there} == set(last.index)
    expected = last.loc[[c.ticker for c, there in zip(contracts, known, strict=True) if there]]
    for name in ("bid", "ask", "bid_size", "ask_size"):
        assert np.array_equal(getattr(quotes, name)[known], expected[name].to_numpy(), equal_nan=True)
    assert np.array_equal(quotes.updated_ms[known], expected["t"].to_numpy() + span_ms)
