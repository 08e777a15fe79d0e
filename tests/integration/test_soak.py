"""The soak in small, and proof that it can fail: defects planted in publishing are found by it.

`make soak` plays a thousand kills; here a few, in processes forked from one that has all imported and no threads.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from bellwether.config import SinkSettings
from bellwether.lake import Lake, paths
from bellwether.lake import publish as publishing
from bellwether.lake.layout import FileLayout
from bellwether.lake.manifest import METADATA_KEY, encode
from bellwether.lake.publish import publish
from tests.builders import SESSION, bars, submission
from tests.soak import checks
from tests.soak.checks import VIOLATIONS

ROOT = Path(__file__).parents[2]

# Plays one soak for each line it reads.
PLAYER = """
import json
import os
import sys
from tests.soak.__main__ import main

for line in sys.stdin:
    defect, options = json.loads(line)
    pid = os.fork()
    if pid == 0:
        exec(defect)
        code = main(["--json", *options])
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
# A publisher that writes the new bytes into the published file itself, and is always killed half way.
IN_PLACE = """
from datetime import date
from bellwether.faultpoints import reach
from bellwether.lake import local
from tests.soak.kills import Child, KillRounds

def write_halves(source, target):
    if "clean" not in target.parts:
        return rename(source, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    content, session = source.read_bytes(), target.parent.name.removeprefix("session=")
    with target.open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        reach("publish.swapped", date.fromisoformat(session))
        file.write(content[len(content) // 2 :])

rename, local._move = local._move, write_halves
def kill_publish(rounds, name, session, work):
    if name == "publish" and not rounds._is_calm:
        return rounds._kill_at("publish.swapped", session, work)
    return Child(work).finish()

KillRounds._try = kill_publish
"""
# A task that says it announced, and did not.
FORGETFUL = """
from tests.soak import steps

steps.announce = lambda scene, session: None
"""
# A recorder that goes on where it was and says nothing of what it missed.
SILENT = """
from bellwether.streaming.book import Book

Book._open = lambda *_: None
"""


Soak = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def soak() -> Iterator[Soak]:
    """Return `soak(*options, defect="")`: play a soak, with a defect planted; its exit code and figures."""
    # Measured for coverage it would take half as long again, and its children never live to report.
    env = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_START"}
    command = [sys.executable, "-c", PLAYER]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True, **pipes) as player:
        assert player.stdin is not None
        assert player.stdout is not None

        def play(*options: str, defect: str = "") -> tuple[int, dict[str, Any]]:
            player.stdin.write(json.dumps([defect, options]) + "\n")
            player.stdin.flush()
            figures = json.loads(player.stdout.readline())
            return int(player.stdout.readline()), figures

        try:
            yield play
        finally:
            os.killpg(player.pid, signal.SIGKILL)


def test_nothing_is_lost_doubled_or_left_behind_by_kills_and_by_two_publishers(soak: Soak) -> None:
    code, figures = soak("--kills", "25", "--rounds", "6", "--sessions", "2", "--recorder-kills", "0")
    assert figures["found"] == {}, figures["errors"]
    assert code == 0
    assert sum(figures["kills"].values()) >= 25
    assert figures["rounds"] == 6
    assert figures["healed"] > 0
    assert min(figures["reads"].values()) > 0


def test_recorders_that_are_killed_or_told_to_stop_lose_and_double_nothing(soak: Soak) -> None:
    code, figures = soak("--kills", "0", "--rounds", "0", "--sessions", "1", "--recorder-kills", "5")
    assert figures["found"] == {}, figures["errors"]
    assert code == 0
    assert sum(figures["recorder_kills"].values()) >= 5
    assert figures["heard"]["in files"] > figures["heard"]["in gaps"]
    assert figures["gaps"]


@pytest.mark.parametrize(
    ("defect", "kills", "recorder_kills", "found"),
    [
        (IN_PLACE, "9", "0", "half partitions"),
        (FORGETFUL, "1", "0", "triggers lost"),
        (SILENT, "0", "3", "rows lost"),
    ],
    ids=["in place", "forgetful", "silent"],
)
def test_a_planted_defect_is_found_and_fails_the_soak(
    soak: Soak, defect: str, kills: str, recorder_kills: str, found: str
) -> None:
    options = ("--kills", kills, "--rounds", "0", "--sessions", "1", "--recorder-kills", recorder_kills)
    code, figures = soak(*options, defect=defect)
    assert figures["found"][found] > 0, figures
    assert code == 1


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    publish(lake, submission(bars("AAPL"), bars("SPY")), LAYOUT)
    return lake


PARTITION = paths.partition("equities", SESSION)
LAYOUT = FileLayout(SinkSettings(), "snappy")
OLD = pa.concat_tables([bars("AAPL"), bars("SPY")])
NEW = pa.concat_tables([bars("AAPL"), bars("SPY", seed=1)])


def rewrite(lake: Lake, table: pa.Table, **changes: Any) -> None:
    """Write other rows into the partition, as a publisher would that errs consistently."""
    manifest = msgspec.structs.replace(lake.manifest("equities", SESSION), **changes)
    metadata = {METADATA_KEY: encode(manifest)}
    lake.storage.write(PARTITION, LAYOUT.compose(table, metadata, None, manifest.published_utc))


def judged(lake: Lake, *possible: pa.Table | None) -> dict[str, int]:
    found = checks.partition(lake, SESSION, possible or (OLD, NEW)) + checks.index(lake, SESSION)
    found += checks.locks(lake) + checks.orphans(lake, {"s1"}) + checks.kept(lake, SESSION, 0)
    assert set(found) <= set(VIOLATIONS)
    return dict(found)


def test_whole_partitions_old_or_new_pass_every_check(lake: Lake) -> None:
    assert judged(lake) == {}
    publish(lake, submission(bars("SPY", seed=1)), LAYOUT)
    assert judged(lake) == {}
    assert checks.kept(lake, SESSION, 1).total() == 0


def test_rows_that_are_missing_doubled_or_of_another_revision_are_counted_by_themselves(lake: Lake) -> None:
    whole = judged(lake)
    assert whole == {}
    table = lake.partition("equities", SESSION).table
    cases = {
        "rows lost": table.slice(0, table.num_rows - 1),
        "rows doubled": pa.concat_tables([table, table.slice(2, 1)]),
        "rows never sent": pa.concat_tables([table, bars("TSLA", minutes=1)]),
    }
    for violation, broken in cases.items():
        rewrite(lake, broken, revision=checks.revision_of(broken), rows=broken.num_rows)
        found = judged(lake)
        assert found[violation] == 1, violation
        # The coverage in the manifest speaks of the rows that were sent.
        assert set(found) == {violation, "half partitions"}, violation


def cut(lake: Lake) -> None:
    path = Path(lake.root, PARTITION)
    path.write_bytes(path.read_bytes()[:-100])


def publish_without_index(lake: Lake, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(publishing, "write_index", lambda *_: None)
    publish(lake, submission(bars("SPY", seed=1)), LAYOUT)


DEFECTS: dict[str, Callable[[Lake, pytest.MonkeyPatch], object]] = {
    "half partitions": lambda lake, _: cut(lake),
    "files beside a partition": lambda lake, _: (Path(lake.root, PARTITION).parent / "x").touch(),
    "orphans left": lambda lake, _: Path(lake.root, paths.INCOMING, "dead").touch(),
    "indexes stale": publish_without_index,
}


@pytest.mark.parametrize("violation", DEFECTS)
def test_a_defect_is_counted_under_its_name_and_no_other(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, violation: str
) -> None:
    DEFECTS[violation](lake, monkeypatch)
    found = checks.partition(lake, SESSION, (OLD, NEW)) + checks.orphans(lake, {"s1"})
    if violation != "half partitions":  # the index is compared with a manifest, and there is none to read
        found += checks.index(lake, SESSION)
    assert dict(found) == {violation: 1}


def test_a_partition_that_vanished_lost_all_its_rows_unless_there_was_none(lake: Lake) -> None:
    Path(lake.root, PARTITION).unlink()
    assert dict(+checks.partition(lake, SESSION, [OLD])) == {"rows lost": OLD.num_rows}
    assert +checks.partition(lake, SESSION, [None, OLD]) == {}


def test_a_lock_that_somebody_still_holds_is_counted(lake: Lake) -> None:
    with lake.storage.locked(PARTITION):
        assert checks.locks(lake)["locks leaked"] == 1


def test_stages_nobody_knows_and_revisions_nobody_kept_are_counted(lake: Lake) -> None:
    Path(lake.root, paths.stage("equities", SESSION, "s9")).mkdir(parents=True)
    assert checks.orphans(lake, {"s1"})["orphans left"] == 1
    assert checks.orphans(lake, {"s9"})["orphans left"] == 0
    assert checks.kept(lake, SESSION, 2)["revisions not kept"] == 2


@pytest.mark.parametrize(
    ("ended_with", "consumed", "found"),
    [
        (["a", "b"], ["a", "b"], {}),
        (["a", "a", "b", "b"], ["a", "b"], {}),
        (["a", "b", "a"], ["a", "b", "a"], {}),
        (["a", "b"], ["a"], {"triggers lost": 1}),
        (["a", "b", "a"], ["a", "b"], {"triggers lost": 1}),
        (["a", "b"], ["a", "b", "b"], {"triggers doubled": 1}),
        (["a", "b"], ["b", "a"], {"triggers lost": 1}),
    ],
)
def test_each_input_set_is_to_be_consumed_exactly_once_and_in_order(
    ended_with: list[str], consumed: list[str], found: dict[str, int]
) -> None:
    assert dict(+checks.triggers(ended_with, consumed)) == found
