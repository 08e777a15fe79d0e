"""A publisher that dies at any step, or meets other publishers and readers, leaves whole partitions.

Every publisher is a process of its own; the kills are real SIGKILLs at the fault points of the code path.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from bellwether.config import SinkSettings
from bellwether.faultpoints import PUBLISH_STEPS
from bellwether.lake import Lake, read
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from tests.builders import SESSION, bars, submission

ROOT = Path(__file__).parents[2]

# What a publisher process runs: `rounds` submissions of one ticker, each with another seed.
PUBLISHER = """
import sys
from bellwether.config import SinkSettings
from bellwether.lake import Lake
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from tests.builders import bars, submission
root, ticker, first, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
lake = Lake.open(root, simulated=True)
for seed in range(first, first + rounds):
    table = bars(ticker, minutes=50 + seed % 40, seed=seed)
    publish(lake, submission(table, stage_id=f"{ticker}{seed}"), FileLayout(SinkSettings(), "snappy"))
"""


def version(ticker: str, seed: int) -> pa.Table:
    return bars(ticker, minutes=50 + seed % 40, seed=seed)


def start_publisher(
    lake: Lake, ticker: str, first: int, rounds: int, faults: Path | None = None
) -> "subprocess.Popen[bytes]":
    env = os.environ | ({"BELLWETHER_FAULT_DIR": str(faults)} if faults else {})
    command = [sys.executable, "-c", PUBLISHER, str(lake.paths.root), ticker, str(first), str(rounds)]
    return subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    publish(lake, submission(version("SPY", 0), bars("AAPL")), FileLayout(SinkSettings(), "snappy"))
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
    assert start_publisher(lake, "SPY", 7, 1, faults).wait(60) == -signal.SIGKILL
    assert list(faults.iterdir()) == []
    expected = version("SPY", 7) if PUBLISH_STEPS.index(step) >= SWAPPED else version("SPY", 0)
    folder = lake.paths.partition("equities", SESSION).parent
    assert [path.name for path in folder.iterdir()] == ["equities.parquet"]
    assert read("equities", SESSION, SESSION, root=lake.paths.root).equals(pa.concat_tables([bars("AAPL"), expected]))
    assert start_publisher(lake, "SPY", 7, 1).wait(60) == 0
    manifest = lake.manifest("equities", SESSION)
    assert read("equities", SESSION, SESSION, ["SPY"], root=lake.paths.root).equals(version("SPY", 7))
    assert manifest.stage_id == "SPY7"
    assert lake.paths.revision("equities", SESSION, old.published_utc, old.revision).exists()
    assert (
        json.loads(lake.paths.manifest("equities", SESSION).read_bytes())["publication_id"] == manifest.publication_id
    )


def test_the_steps_tried_are_all_steps_of_the_code_path() -> None:
    source = (ROOT / "include/bellwether/lake/publish.py").read_text()
    assert [step for step in PUBLISH_STEPS if f'reach("{step}"' not in source] == []
    assert source.count("reach(") == len(PUBLISH_STEPS)


def test_publishers_of_one_session_lose_nothing_of_each_other(lake: Lake) -> None:
    tickers = ["MSFT", "QQQ", "SPY", "TSLA"]
    publishers = [start_publisher(lake, ticker, 100, 25) for ticker in tickers]
    for publisher in publishers:
        _, errors = publisher.communicate(timeout=120)
        assert publisher.returncode == 0, errors.decode()
    expected = [bars("AAPL"), *(version(ticker, 124) for ticker in tickers)]
    assert read("equities", SESSION, SESSION, root=lake.paths.root).equals(pa.concat_tables(expected))
    revisions = lake.paths.revision("equities", SESSION, lake.clock.now(), "x").parent
    assert len(list(revisions.iterdir())) == 100  # every publication but the last was replaced by another, and kept
    assert list(lake.paths.incoming("equities", SESSION, "x").parent.iterdir()) == []


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
        running = publisher.poll() is None
        rows = reader(lake.paths.dataset("equities"))
        assert [close for ticker, close in rows if ticker == "AAPL"] == aapl
        spy = [close for ticker, close in rows if ticker == "SPY"]
        [seed] = [seed for seed, closes in possible.items() if closes == spy]
        seen.add(seed)
    assert publisher.returncode == 0, publisher.stderr.read().decode()
    assert 559 in seen
    assert len(seen) > 1
