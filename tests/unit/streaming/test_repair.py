"""Whom a repair asks for, what it makes of the answers, and in which portions; REST is a table here."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.errors import NotPublishedYet, RateLimited, VendorError
from bellwether.lake import Lake, Universe
from bellwether.lake.coverage import store_universe
from bellwether.schemas import EQUITIES, INDEX_BARS, TIMESTAMP
from bellwether.sources.aggregates import Aggregates
from bellwether.streaming import repair as room
from bellwether.streaming.assignment import whole_session
from bellwether.streaming.compact import compact
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.feedtime import from_ms as moment_utc
from bellwether.streaming.gaps import Filled, GapLog
from bellwether.streaming.repair import Round, repair
from tests.builders import SESSION, bars
from tests.recordings import miss, record

OPEN = whole_session("options", SESSION).start
NOON = OPEN + timedelta(minutes=150)
RULE = {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "{rule: active}"}


@dataclass
class Rest:
    """REST that has these bars, of every ticker given, and errors of others; all else is empty."""

    tables: Mapping[str, pa.Table]
    errors: Mapping[str, VendorError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def aggregates(self, ticker: str, from_ms: int, to_ms: int) -> Aggregates:
        with self.lock:
            self.asked.append(ticker)
        if ticker in self.errors:
            raise self.errors[ticker]
        table = self.tables.get(ticker, (INDEX_BARS if ticker.startswith("I:") else EQUITIES).empty_table())
        first, last = (pa.scalar(moment_utc(ms), TIMESTAMP) for ms in (from_ms, to_ms))
        inside = pc.and_(pc.greater_equal(table["ts"], first), pc.less_equal(table["ts"], last))
        return Aggregates(ticker, table.filter(inside).combine_chunks(), (), "OK", 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True)


def repaired(
    lake: Lake,
    rest: Rest,
    dataset: str = "equities",
    *,
    now: datetime = NOON + timedelta(minutes=10),
    env: Mapping[str, str] = MappingProxyType({}),
) -> Round:
    feed = FeedTime(SimulatedClock(now, speed=0))
    vendor: Any = rest
    return repair(lake, Config.load(None, env), whole_session(dataset, SESSION), vendor, feed)


def listed(*tickers: str) -> dict[str, str]:
    return {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": f"[{', '.join(tickers)}]"}


def error(kind: type[VendorError], **more: Any) -> VendorError:
    return kind("in the vendor's words", url="http://vendor", **more)


# --- whom


def test_a_gap_of_all_asks_for_the_list_and_for_whoever_was_heard(lake: Lake) -> None:
    record(lake, bars("QQQ"), NOON, dataset="equities", session=SESSION)
    miss(lake, "equities", SESSION, NOON)
    rest = Rest({"QQQ": bars("QQQ")})
    assert len(repaired(lake, rest, env=listed("AAPL", "SPY")).closed) == 1
    assert sorted(rest.asked) == ["AAPL", "QQQ", "SPY"]


def test_of_a_rule_it_asks_for_whoever_was_heard_and_whom_the_plan_found_it_to_mean(lake: Lake) -> None:
    record(lake, bars("QQQ"), NOON, dataset="equities", session=SESSION)
    store_universe(lake, "equities", SESSION, Universe(("AAPL",), ("XOM",)))
    miss(lake, "equities", SESSION, NOON)
    rest = Rest({"QQQ": bars("QQQ")})
    assert len(repaired(lake, rest, env=RULE).closed) == 1
    assert sorted(rest.asked) == ["AAPL", "QQQ", "XOM"]


def test_a_gap_of_some_asks_for_those(lake: Lake) -> None:
    miss(lake, "equities", SESSION, NOON, symbols=["SPY"])
    rest = Rest({"SPY": bars("SPY")})
    [gap] = repaired(lake, rest, env=listed("AAPL", "SPY")).closed
    assert (rest.asked, gap.filled) == (["SPY"], {"SPY": Filled(5, pc.sum(bars("SPY")["volume"]).as_py(), 5, 0)})


def test_while_nobody_knows_the_contracts_a_gap_of_all_stays_open_and_one_of_some_does_not(lake: Lake) -> None:
    miss(lake, "options", SESSION, NOON)
    miss(lake, "options", SESSION, NOON, symbols=["O:SPY250701C00600000"])
    done = repaired(lake, Rest({}), "options")
    assert [gap.symbols for gap in done.closed] == [("O:SPY250701C00600000",)]
    assert [why for _, why in done.left] == ["nobody has published yet which options there are"]


# --- what is made of answers


def test_an_answer_proven_empty_closes_a_gap_in_which_nothing_was_heard(lake: Lake) -> None:
    miss(lake, "equities", SESSION, NOON)
    [gap] = repaired(lake, Rest({}), env=listed("SPY")).closed
    assert gap.evidence == (
        "seen in a test; REST has 0 minutes of 1 tickers, volume 0, and so have we: 0 added, 0 changed"
    )


def test_an_index_is_filled_without_volume(lake: Lake) -> None:
    vix = bars("I:VIX").select(INDEX_BARS.names)
    record(lake, vix.slice(0, 3), NOON, dataset="indices", session=SESSION)
    miss(lake, "indices", SESSION, NOON)
    done = repaired(lake, Rest({"I:VIX": vix}), "indices")
    assert done.closed[0].filled == {"I:VIX": Filled(5, 0.0, 2, 0)}
    assert compact(lake, "indices", SESSION).table == vix.cast(INDEX_BARS)


def test_what_was_heard_otherwise_is_changed_to_what_rest_has(lake: Lake) -> None:
    said, heard = bars("SPY"), bars("SPY", seed=1)
    record(lake, heard, NOON - timedelta(minutes=1), dataset="equities", session=SESSION)
    miss(lake, "equities", SESSION, NOON)
    done = repaired(lake, Rest({"SPY": said}), env=listed("SPY"))
    assert (done.rows, done.closed[0].filled["SPY"].changed) == (5, 5)
    assert compact(lake, "equities", SESSION).table.drop_columns("transactions") == said.drop_columns("transactions")


def test_minutes_that_no_gap_may_have_hidden_are_left_as_they_were_heard(lake: Lake) -> None:
    heard = bars("SPY", seed=1)
    record(lake, heard, NOON - timedelta(minutes=1), dataset="equities", session=SESSION)
    log = GapLog(lake, "equities", SESSION, "recorder")
    log.end(log.open(OPEN + timedelta(minutes=18), ["SPY"], "dropped", OPEN, ""), OPEN + timedelta(minutes=20))
    done = repaired(lake, Rest({"SPY": bars("SPY")}), env=listed("SPY"))
    assert (done.rows, len(done.closed)) == (3, 1)  # of five minutes the first two were final
    volumes = compact(lake, "equities", SESSION).table["volume"].to_pylist()
    assert volumes[:2] == heard["volume"].to_pylist()[:2]


def test_two_bars_of_one_minute_prove_nothing(lake: Lake) -> None:
    miss(lake, "equities", SESSION, NOON)
    doubtful = pa.concat_tables([bars("SPY", minutes=1), bars("SPY", minutes=1, seed=1)])
    [(_, why)] = repaired(lake, Rest({"SPY": doubtful}), env=listed("SPY")).left
    assert why == "SPY: REST has two different bars of one minute"


@pytest.mark.parametrize("kind", [NotPublishedYet, RateLimited])
def test_an_error_that_is_everyones_stops_the_round_and_what_is_filled_stays_so(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, kind: type[VendorError]
) -> None:
    monkeypatch.setattr(room, "_ASKED_AT_ONCE", 1)
    miss(lake, "equities", SESSION, NOON)
    env = listed("AAPL", "MSFT", "SPY")
    rest = Rest({}, {"MSFT": error(kind)})
    [(_, why)] = repaired(lake, rest, env=env).left
    assert (why, rest.asked) == (f"MSFT: {kind.__name__}: in the vendor's words", ["AAPL", "MSFT"])
    rest = Rest({})
    assert len(repaired(lake, rest, env=env).closed) == 1
    assert rest.asked == ["MSFT", "SPY"]


def test_thousands_of_tickers_are_asked_for_in_portions_each_kept_before_the_next(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_MOST_TICKERS", 2)
    names = [f"T{letter}" for letter in "ABCDE"]
    miss(lake, "equities", SESSION, NOON)
    told: list[tuple[int, int]] = []
    rest: Any = Rest({name: bars(name) for name in names})
    feed = FeedTime(SimulatedClock(NOON + timedelta(minutes=10), speed=0))
    config = Config.load(None, listed(*names))
    done = repair(
        lake, config, whole_session("equities", SESSION), rest, feed, told=lambda *counts: told.append(counts)
    )
    assert (told, len(done.closed), done.rows) == ([(2, 5), (4, 5), (5, 5)], 1, 25)
    table = compact(lake, "equities", SESSION).table
    assert (
        table.drop_columns("transactions")
        == pa.concat_tables(map(bars, names)).drop_columns("transactions").combine_chunks()
    )
