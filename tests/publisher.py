"""Publishers as processes of their own, to be killed or to compete; each is forked from one that has all imported."""

import multiprocessing
import os
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec
import pyarrow as pa

from bellwether.calendar import get_calendar
from bellwether.config import SinkSettings
from bellwether.lake import Lake, Manifest, paths
from bellwether.lake.layout import FileLayout
from bellwether.lake.manifest import METADATA_KEY
from bellwether.lake.publish import publish
from tests.builders import SESSION, bars, submission

LAYOUT = FileLayout(SinkSettings(), "snappy")

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__, "bellwether.lake.objects"])

get_calendar()  # the forks inherit it


def version(ticker: str, seed: int) -> pa.Table:
    """Return one of the versions of a ticker's rows, of many lengths."""
    return bars(ticker, minutes=50 + seed % 40, seed=seed)


def start_publisher(
    lake: Lake, ticker: str, first: int, rounds: int, *, faults: Path | None = None, options: Mapping[str, str] = {}
) -> BaseProcess:
    """Publish `rounds` versions of a ticker, one after the other, in another process."""
    arguments = (lake.root, dict(options), ticker, range(first, first + rounds), faults)
    publisher = _FORKS.Process(target=_publish_versions, args=arguments, daemon=True)
    publisher.start()
    return publisher


def chain(lake: Lake) -> list[Manifest]:
    """Return all publications of the session, the newest first, each found under the name its successor gives it."""
    found = [lake.manifest("equities", SESSION)]
    while (name := found[-1].replaces) is not None:
        kept = lake.read_parquet(paths.revisions("equities", SESSION) / name)
        found.append(msgspec.json.decode(kept.schema.metadata[METADATA_KEY], type=Manifest))
        assert found[-1].publication_id not in {manifest.publication_id for manifest in found[:-1]}, "a circle"
    return found


def exit_code(publisher: BaseProcess) -> int | None:
    """Wait for the end of a publisher and return its exit code: negative for the signal that killed it."""
    publisher.join(60)
    return publisher.exitcode


def _publish_versions(root: str, options: dict[str, str], ticker: str, seeds: range, faults: Path | None) -> None:
    if faults is not None:
        os.environ["BELLWETHER_FAULT_DIR"] = str(faults)
    lake = Lake.open(root, options=options, simulated=True)
    for seed in seeds:
        publish(lake, submission(version(ticker, seed), stage_id=f"{ticker}{seed}"), LAYOUT)
