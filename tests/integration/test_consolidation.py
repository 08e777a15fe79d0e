"""Real history through capture and consolidation, against the archive's own oracle and plain loops.

Sessions and underlyings are those of the oracle, whatever archive it is; what the README of the public one says of its
tables is held against them where they are there.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bellwether.calendar import get_calendar
from bellwether.cli.main import main
from bellwether.lake import Lake, Manifest, paths, read
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.server import SimulatorConfig, running
from tests.e2e.archive import bars_of, contracts_of, is_stale, roots_of

GREEKS = ("delta", "gamma", "theta", "vega", "rho")
SOLVED = ("iv", *GREEKS, "iv_error")
APPLE = ("AAPL", date(2014, 6, 6))
# What the README says of Apple's options: how many fall under each reason, and volatilities at the money.
APPLES_STATUS = {"below_intrinsic": 574, "at_intrinsic": 51, "below_european_bound": 109, "expired": 3, "ok": 21_330}
APPLES_VOLATILITY = {
    **{date(2014, 6, 13): 0.27, date(2014, 6, 21): 0.234, date(2014, 7, 19): 0.222},
    **{date(2014, 7, 25): 0.266, date(2014, 8, 16): 0.245, date(2015, 1, 17): 0.225},
}


@dataclass(frozen=True)
class Day:
    """One session of one underlying: its archived bars, the oracle, and what was published of it.

    Attributes
    ----------
    rate
        The archive's, a fraction per year.
    stock, prints
        Archived bars under the lake's column names, by time.
    """

    underlying: str
    session: date
    rate: float
    stock: pd.DataFrame
    prints: pd.DataFrame
    oracle: pd.DataFrame
    chain: pd.DataFrame
    minutes: pd.DataFrame
    manifest: Manifest
    by_expiration: list[dict[str, Any]]


@pytest.fixture(scope="module")
def days(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Day]:
    oracle = pd.read_parquet(archive / "oracle_greeks.parquet")
    oracle["ts"] = pd.to_datetime(oracle["t"], unit="ms", utc=True)
    oracle["session"] = oracle["ts"].dt.tz_convert("America/New_York").dt.date
    oracle["underlying"] = oracle["ticker"].str[2:-15]
    stocks, prints = bars_of(archive, "bars_equity*.parquet"), bars_of(archive, "bars_option*.parquet")
    prints["underlying"] = prints["ticker"].str[2:-15]
    rates = pd.read_parquet(archive / "rates.parquet").sort_values("date")
    root = tmp_path_factory.mktemp("oracle") / "lake"
    found = []
    with running(SimulatorConfig(market=ArchiveMarket(archive))) as simulator:
        for session, rows in oracle.groupby("session"):
            names = sorted(rows["underlying"].unique())
            rate = float(rates[rates["date"] <= session.isoformat()]["rate"].iloc[-1])
            consolidate(session, names, root, simulator.url, {"conventions": "from_bar_start", "rate": rate})
            lake = Lake.open(root)
            judged = json.loads(lake.storage.read(paths.quality("chain", session)).content)
            chain, minutes = (read(name, session, session, root=root).to_pandas() for name in ("chain", "minutes"))
            found += [
                Day(
                    name,
                    session,
                    rate,
                    stocks[(stocks["session"] == session) & (stocks["ticker"] == name)],
                    prints[(prints["session"] == session) & (prints["underlying"] == name)],
                    rows[rows["underlying"] == name],
                    chain[chain["underlying"] == name],
                    minutes[minutes["ticker"] == name],
                    lake.manifest("chain", session),
                    [row for row in judged["by_expiration"] if row["underlying"] == name],
                )
                for name in names
            ]
    return found


def consolidate(
    session: date, names: list[str], root: Path, url: str, chain: dict[str, Any], indices: Sequence[str] = ()
) -> None:
    """Capture a session's stocks, or indices instead, and the whole option chains on them, and build its gold."""
    said = {
        "SOURCES__EQUITIES__UNIVERSE": names,
        "SOURCES__OPTIONS__UNIVERSE": [index.removeprefix("I:") for index in indices] or names,
        "SOURCES__INDICES__UNIVERSE": list(indices) or ["I:VIX"],
        "SOURCES__OPTIONS__CONTRACTS": {"strikes": "wide", "lookahead_days": 1000},
        "CONSOLIDATION__CHAIN": chain,
        "INGEST__BATCH_TICKERS": 250,
        "LAKE__ROOT": str(root),
    }
    with pytest.MonkeyPatch.context() as patch:
        for key, value in said.items():
            patch.setenv(f"BELLWETHER__{key}", value if isinstance(value, str) else json.dumps(value))
        day = str(session)
        for dataset in ("equities", *(["indices"] if indices else []), "options"):
            assert main(["backfill", dataset, "--start", day, "--end", day, "--url", url]) == 0
        assert main(["consolidate", "--session", day]) == 0


def test_volatilities_and_greeks_equal_the_oracle(days: list[Day]) -> None:
    for day in days:
        both = day.oracle.merge(day.chain, on=["ticker", "ts"], suffixes=("_oracle", ""), how="left")
        assert len(both) == len(day.oracle)
        assert set(both["iv_status"]) == {"ok"}
        for ours, oracles in (("spot", "underlying_close"), ("close", "option_close"), ("strike", "strike_oracle")):
            np.testing.assert_array_equal(both[ours], both[oracles], err_msg=ours)
        np.testing.assert_allclose(both["t_years"], both["T_years"], rtol=1e-15)
        for name in ("iv", *GREEKS):
            np.testing.assert_allclose(both[name], both[f"{name}_oracle"], rtol=1e-8, err_msg=name)
    assert sum(len(day.oracle) for day in days) >= 1


def test_every_archived_print_is_a_row_beside_the_last_price_of_its_stock(days: list[Day]) -> None:
    for day in days:
        assert beside(day.chain) == aligned(day.prints, day.stock, day.session)


def beside(chain: pd.DataFrame) -> list[tuple[Any, ...]]:
    columns = ["ticker", "ts", "close", "spot", "spot_age_s"]
    return sorted(chain[columns].itertuples(index=False, name=None))


def aligned(prints: pd.DataFrame, prices: pd.DataFrame, session: date) -> list[tuple[Any, ...]]:
    """Return each print beside the last bar since the open that began no later, by a plain loop."""
    opened = pd.Timestamp(get_calendar().hours(session).open)
    bars = list(prices[prices["ts"] >= opened].sort_values("ts")[["ts", "close"]].itertuples(index=False))
    expected, last = [], -1
    for print_ in prints.sort_values("ts").itertuples():
        while last + 1 < len(bars) and bars[last + 1].ts <= print_.ts:
            last += 1
        bar = bars[last] if last >= 0 else None
        age = int((print_.ts - bar.ts).total_seconds()) if bar else None
        expected.append((print_.ticker, print_.ts, print_.close, bar and bar.close, age))
    return sorted(expected)


def test_what_has_no_volatility_is_null_with_its_reason_and_counted(days: list[Day]) -> None:
    for day in days:
        unsolved = day.chain["iv_status"] != "ok"
        for name in SOLVED:
            assert (day.chain[name].isna() == unsolved).all(), name
        below = [
            _intrinsic(row) > Decimal(str(row.close)) for row in day.chain.itertuples() if row.iv_status != "expired"
        ]
        counts = Counter(day.chain["iv_status"])
        assert counts["below_intrinsic"] == sum(below)
        if (day.underlying, day.session) == APPLE:
            assert counts == APPLES_STATUS
    for session in {day.session for day in days}:
        of_session = [day for day in days if day.session == session]
        counted = Counter(status for day in of_session for status in day.chain["iv_status"] if status != "ok")
        assert {name: of_session[0].manifest.warnings[name] for name in counted} == counted


def _intrinsic(row: Any) -> Decimal:
    """Return what exercise of an American contract pays, in exact dollars."""
    gain = Decimal(str(row.spot)) - Decimal(row.ticker[-8:]) / 1000
    return gain if row.right == "call" else -gain


def test_calls_and_puts_of_one_minute_agree_on_the_price_of_the_stock(days: list[Day]) -> None:
    for day in days:
        near = day.chain[(day.chain["t_years"] > 0) & (day.chain["t_years"] < 0.12)]
        sides = [near[near["right"] == right] for right in ("call", "put")]
        pairs = sides[0].merge(sides[1], on=["expiration", "strike", "ts"], suffixes=("", "_put"))
        discounted = pairs["strike"] * np.exp(-day.rate * pairs["t_years"])
        gap = pairs["close"] - pairs["close_put"] - (pairs["spot"] - discounted)
        assert abs(gap.median()) <= 1e-4 * day.stock["close"].median()
        if (day.underlying, day.session) == APPLE:  # its README: 2829 pairs, median -0.011, deviation 0.10
            assert len(gap) == 2829
            assert gap.median() == pytest.approx(-0.011, abs=0.0005)
            assert (gap - gap.median()).abs().median() == pytest.approx(0.10, abs=0.005)


def test_minutes_carry_the_stocks_bars_and_the_chains_volatility_at_the_money(days: list[Day]) -> None:
    for day in days:
        hours = get_calendar().hours(day.session)
        regular = day.stock[day.stock["ts"].between(hours.open, hours.close, inclusive="left")]
        assert len(day.minutes) == hours.expected_minutes()
        traded = day.minutes[day.minutes["close"].notna()]
        for name in ("ts", "open", "high", "low", "close", "volume"):
            assert traded[name].tolist() == regular[name].tolist(), name
        in_hours = day.prints[day.prints["ts"].between(hours.open, hours.close, inclusive="left")]
        assert day.minutes["chain_volume"].sum() == in_hours["volume"].sum()
        if (day.underlying, day.session) == APPLE:
            found = day.minutes[["chain_expirations", "chain_atm_iv"]].explode(["chain_expirations", "chain_atm_iv"])
            at_the_money = found.astype({"chain_atm_iv": float}).groupby("chain_expirations")["chain_atm_iv"].median()
            for expiration, volatility in APPLES_VOLATILITY.items():
                assert at_the_money[expiration] == pytest.approx(volatility, abs=0.015), expiration


def test_a_dividend_that_the_yield_leaves_out_shows_in_the_expirations_behind_it(days: list[Day]) -> None:
    for day in (each for each in days if (each.underlying, each.session) == APPLE):
        counts = {True: [0, 0], False: [0, 0]}
        for row in day.by_expiration:
            if row["check"] == "parity_violated":
                counts[row["expiration"] >= "2014-08-07"][0] += row["compared"]  # Apple's next ex-date
                counts[row["expiration"] >= "2014-08-07"][1] += row["violations"]
        before, behind = (counts[is_behind][1] / counts[is_behind][0] for is_behind in (False, True))
        assert before < 0.02
        assert behind > 0.8


def test_index_options_stand_beside_their_index_and_are_settled_by_their_roots(archive: Path, tmp_path: Path) -> None:
    levels, prints = bars_of(archive, "bars_index*.parquet"), bars_of(archive, "bars_option*.parquet")
    listed = contracts_of(archive).set_index("ticker")["underlying"]
    prints["underlying"] = prints["ticker"].map(listed)
    prices = levels[~is_stale(levels)]
    stocks = bars_of(archive, "bars_equity*.parquet")["ticker"].unique()[:1].tolist()
    with running(SimulatorConfig(market=ArchiveMarket(archive))) as simulator:
        for session, of_session in prices.groupby("session"):
            names = sorted(of_session["ticker"].unique())
            consolidate(session, stocks, tmp_path / "lake", simulator.url, {"rate": 0.001}, names)
            chain = read("chain", session, session, root=tmp_path / "lake").to_pandas()
            for name in names:
                its = chain[chain["underlying"] == name.removeprefix("I:")]
                own = prints[(prints["session"] == session) & (prints["underlying"] == name.removeprefix("I:"))]
                assert beside(its) == aligned(own, of_session[of_session["ticker"] == name], session)
                morning = its["settlement"] == "am"
                assert (morning == (roots_of(its) == name.removeprefix("I:"))).all()
                assert set(its["exercise_style"]) == {"european"}
                solved = its[its["iv_status"] == "ok"]
                assert len(solved) > 0.9 * len(its)
                assert 0.1 < solved["iv"].median() < 1
                assert not {"below_intrinsic", "no_underlying"} & set(its["iv_status"])
