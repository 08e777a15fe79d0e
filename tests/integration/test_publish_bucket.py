"""A lake in a bucket, over the wire: publishers that die or meet lose nothing, and readers see one publication."""

import json
import signal
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.cli.main import main
from bellwether.errors import LakeError
from bellwether.faultpoints import PUBLISH_STEPS
from bellwether.lake import Lake, objects, paths, read
from bellwether.lake.publish import publish
from bellwether.localstack.processes import free_port
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import SimulatorConfig, running
from tests.builders import SESSION, bars, submission
from tests.objectstore import ObjectStore
from tests.publisher import LAYOUT, chain, exit_code, start_publisher, version

# A folder is written, synced and locked before it swaps; a bucket does all of that in one request.
STEPS = [step for step in PUBLISH_STEPS if step not in {"publish.written", "publish.synced", "publish.locked"}]
SWAPPED = STEPS.index("publish.swapped")


def rows(store: ObjectStore, lake: Lake, tickers: list[str] | None = None) -> pa.Table:
    return read("equities", SESSION, SESSION, tickers, root=lake.root, options=store.options)


def test_a_session_is_published_read_and_revised(store: ObjectStore) -> None:
    lake = store.lake("basics")
    first = publish(lake, submission(bars("SPY"), bars("AAPL")), LAYOUT).manifest
    assert rows(store, lake).equals(pa.concat_tables([bars("AAPL"), bars("SPY")]))
    second = publish(lake, submission(bars("SPY", seed=1), stage_id="s2"), LAYOUT).manifest
    assert rows(store, lake, ["SPY"]).equals(bars("SPY", seed=1))
    kept = paths.revision(first)
    assert second.replaces == kept.name
    assert lake.look(kept, lambda file: file.read(["ticker"]).num_rows) == 10
    assert lake.sessions("equities") == [SESSION]
    assert not publish(lake, submission(bars("SPY", seed=1), stage_id="s3"), LAYOUT).changed


def test_the_kinds_never_mix_and_a_missing_bucket_is_no_missing_lake(store: ObjectStore) -> None:
    store.lake("kinds", simulated=False)
    with pytest.raises(LakeError, match="holds production data; simulated data needs a lake of its own"):
        store.lake("kinds", simulated=True)
    with pytest.raises(LakeError, match="there is no lake at s3://bucket/nowhere"):
        store.lake("nowhere", simulated=None)
    with pytest.raises(LakeError, match="there is no such bucket: create it"):
        Lake.open("s3://nowhere/lake", options=store.options)


def test_a_store_out_of_reach_is_named(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(objects._CLIENT, "retries", {"total_max_attempts": 1})
    with pytest.raises(LakeError, match=r"s3://bucket/lake/lake\.json: .*run this again"):
        Lake.open("s3://bucket/lake", options=store.options | {"endpoint_url": f"http://127.0.0.1:{free_port()}"})


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_readers_see_the_old_or_the_new_revision_and_a_retry_completes(
    store: ObjectStore, tmp_path: Path, step: str
) -> None:
    lake = store.lake(f"killed-{step}")
    publish(lake, submission(bars("SPY"), bars("AAPL")), LAYOUT)
    (tmp_path / f"{step}@{SESSION}").touch()
    publisher = start_publisher(lake, "SPY", 7, 1, faults=tmp_path, options=store.options)
    assert exit_code(publisher) == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
    expected = version("SPY", 7) if STEPS.index(step) >= SWAPPED else bars("SPY")
    assert rows(store, lake).equals(pa.concat_tables([bars("AAPL"), expected]))
    publish(lake, submission(version("SPY", 7), stage_id="SPY7"), LAYOUT)
    assert rows(store, lake, ["SPY"]).equals(version("SPY", 7))
    manifest = lake.manifest("equities", SESSION)
    assert manifest.publication_id in lake.storage.read(paths.manifest("equities", SESSION)).content.decode()
    assert [entry.key.name for entry in lake.storage.list(paths.revisions("equities", SESSION))] == [manifest.replaces]


def test_publishers_of_one_session_lose_nothing_of_each_other_and_readers_see_whole_publications(
    store: ObjectStore,
) -> None:
    lake = store.lake("crowded")
    publish(lake, submission(bars("AAPL")), LAYOUT)
    tickers, rounds = ["MSFT", "QQQ", "SPY"], 5
    publishers = [start_publisher(lake, ticker, 100, rounds, options=store.options) for ticker in tickers]
    whole = {ticker: [version(ticker, seed) for seed in range(100, 100 + rounds)] for ticker in tickers}
    while any(publisher.is_alive() for publisher in publishers):
        table = rows(store, lake)
        for ticker in pc.unique(table["ticker"]).to_pylist():
            seen = table.filter(pc.equal(table["ticker"], ticker))
            assert any(seen.equals(possible) for possible in whole.get(ticker, [bars("AAPL")])), ticker
    assert [exit_code(publisher) for publisher in publishers] == [0] * len(tickers)
    expected = [bars("AAPL"), *(version(ticker, 100 + rounds - 1) for ticker in tickers)]
    assert rows(store, lake).equals(pa.concat_tables(expected))
    assert len(chain(lake)) == len(tickers) * rounds + 1  # each kept under its own name, back to the first


def test_the_command_line_backfills_into_the_bucket_of_the_connection_as_into_a_folder(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[SPY]")
    monkeypatch.delenv("AIRFLOW_CONN_POLYGON_DEFAULT", raising=False)
    url, day = "s3://bucket/by-connection", str(SESSION)
    extra = {"path": url, "endpoint_url": store.url, "region_name": store.options["region"]}
    login = {"login": store.options["key"], "password": store.options["secret"]}
    connection = {"conn_type": "aws", **login, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE_DEFAULT", json.dumps(connection))
    with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=["SPY"]))) as simulator:
        command = ["backfill", "equities", "--start", day, "--end", day, "--url", simulator.url]
        assert main(command) == 0
        assert main([*command, "--lake", str(tmp_path)]) == 0
    assert main(["coverage", "--start", day, "--end", day, "--json"]) == 0
    assert '"state": "complete"' in capsys.readouterr().out
    table = read("equities", SESSION, SESSION)
    assert table.equals(read("equities", SESSION, SESSION, root=tmp_path))
    lake = Lake.open(url, options=store.options)
    assert lake.manifest("equities", SESSION).rows == table.num_rows > 300
    zones = {entry.key.parts[0] for entry in lake.storage.list(PurePosixPath())}
    assert zones == {"lake.json", "clean", "raw", "state"}  # the stage is gone
