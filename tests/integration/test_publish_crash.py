"""A publisher that dies at any step, or meets other publishers and readers, leaves whole partitions.

Every publisher is a process of its own; the kills are real SIGKILLs at the fault points of the code path.
"""

import json
import re
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from bellwether.faultpoints import PUBLISH_STEPS
from bellwether.lake import Lake, paths, read
from bellwether.lake.publish import publish
from bellwether.lake.stage import remove_old_stages
from tests.builders import SESSION, bars, submission
from tests.publisher import LAYOUT, chain, exit_code, start_publisher, version

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    publish(lake, submission(version("SPY", 0), bars("AAPL")), LAYOUT)
    return lake


SWAPPED = PUBLISH_STEPS.index("publish.swapped")


@pytest.mark.parametrize("step", PUBLISH_STEPS)
def test_killed_at_any_step_readers_see_the_old_or_the_new_revision_and_a_retry_completes(
    lake: Lake, tmp_path: Path, step: str
) -> None:
    faults = tmp_path / "faults"
    faults.mkdir()
    (faults / f"{step}@{SESSION}").touch()
    old = lake.manifest("equities", SESSION)
    assert exit_code(start_publisher(lake, "SPY", 7, 1, faults=faults)) == -signal.SIGKILL
    assert list(faults.iterdir()) == []
    expected = version("SPY", 7) if PUBLISH_STEPS.index(step) >= SWAPPED else version("SPY", 0)
    folder = Path(lake.root, paths.partition("equities", SESSION)).parent
    assert [path.name for path in folder.iterdir()] == ["equities.parquet"]
    assert read("equities", SESSION, SESSION, root=lake.root).equals(pa.concat_tables([bars("AAPL"), expected]))
    assert exit_code(start_publisher(lake, "SPY", 7, 1)) == 0
    manifest = lake.manifest("equities", SESSION)
    assert read("equities", SESSION, SESSION, ["SPY"], root=lake.root).equals(version("SPY", 7))
    assert manifest.stage_id == "SPY7"
    kept = paths.revision(old)
    assert manifest.replaces == kept.name
    assert [entry.key for entry in lake.storage.list(kept.parent)] == [kept]
    index = lake.storage.read(paths.manifest("equities", SESSION))
    assert json.loads(index.content)["publication_id"] == manifest.publication_id
    remove_old_stages(lake, "equities", SESSION, timedelta(days=7))
    assert list(Path(lake.root, paths.INCOMING).iterdir()) == []


def test_the_steps_tried_are_all_steps_of_the_code_path() -> None:
    lake = ROOT / "include/bellwether/lake"
    publishing = set(re.findall(r'reach\("(publish\.\w+)"', (lake / "publish.py").read_text()))
    swapping = set(re.findall(r'reached\("(\w+)"\)', (lake / "local.py").read_text()))
    assert publishing | {f"publish.{step}" for step in swapping} == set(PUBLISH_STEPS)


def test_publishers_of_one_session_lose_nothing_of_each_other(lake: Lake) -> None:
    tickers = ["MSFT", "QQQ", "SPY", "TSLA"]
    publishers = [start_publisher(lake, ticker, 100, 25) for ticker in tickers]
    assert [exit_code(publisher) for publisher in publishers] == [0] * len(tickers)
    expected = [bars("AAPL"), *(version(ticker, 124) for ticker in tickers)]
    assert read("equities", SESSION, SESSION, root=lake.root).equals(pa.concat_tables(expected))
    kept = list(lake.storage.list(paths.revisions("equities", SESSION)))
    assert len(kept) == 100  # every publication but the last was replaced by another, and kept
    assert len(chain(lake)) == 101
    assert list(Path(lake.root, paths.INCOMING).iterdir()) == []


def read_with_pandas(folder: Path) -> list[tuple[str, float]]:
    frame = pd.read_parquet(folder)
    return list(zip(frame["ticker"], frame["close"], strict=True))


def read_with_polars(folder: Path) -> list[tuple[str, float]]:
    return pl.read_parquet(folder / "**" / "*.parquet").select("ticker", "close").rows()


def read_with_duckdb(folder: Path) -> list[tuple[str, float]]:
    with duckdb.connect() as connection:
        return connection.sql(f"select ticker, close from '{folder}/*/*.parquet'").fetchall()  # noqa: S608


@pytest.mark.parametrize("reader", [read_with_pandas, read_with_polars, read_with_duckdb])
def test_plain_readers_see_exactly_one_publication_while_publishes_go_on(
    lake: Lake, reader: Callable[[Path], list[tuple[str, float]]]
) -> None:
    possible = {seed: version("SPY", seed)["close"].to_pylist() for seed in (0, *range(500, 560))}
    aapl = bars("AAPL")["close"].to_pylist()
    publisher = start_publisher(lake, "SPY", 500, 60)
    seen: set[int] = set()
    running = True
    while running:  # the last read comes after the publisher's end
        running = publisher.is_alive()
        rows = reader(Path(lake.root, paths.dataset_folder("equities")))
        assert [close for ticker, close in rows if ticker == "AAPL"] == aapl
        spy = [close for ticker, close in rows if ticker == "SPY"]
        [seed] = [seed for seed, closes in possible.items() if closes == spy]
        seen.add(seed)
    assert exit_code(publisher) == 0
    assert 559 in seen
    assert len(seen) > 1
