"""SIGKILL in real tasks at every step of publishing, in the middle of fetching and of planning; Airflow's retries heal.

One session per kill, all in one backfill, so that they wait out the retry delay together. Every session has an old
revision before: at any moment readers must see it or the new one, whole. The universe is a rule, whose answers the
vendor gives in pages of one ticker.
"""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from bellwether.airflow_api import Run
from bellwether.calendar import get_calendar
from bellwether.cli.main import main
from bellwether.faultpoints import PAGE_STAGED, PUBLISH_STEPS
from bellwether.lake import Lake, paths
from bellwether.lake.coverage import stored_universe
from bellwether.lake.revisions import revision_of
from bellwether.simulator import lists
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from tests.e2e.support import PRODUCER, UNIVERSE, Producers, wait_until

SESSIONS = get_calendar().sessions(date(2025, 6, 16), date(2025, 7, 1))[: len(PUBLISH_STEPS) + 2]
KILLED_IN_PUBLISH = dict(zip(SESSIONS, PUBLISH_STEPS, strict=False))
KILLED_IN_FETCH, KILLED_IN_PLAN = SESSIONS[-2:]
RULE = {"rule": "active", "types": ["CS", "ETF"]}  # finds UNIVERSE, and nothing else in this market

pytestmark = pytest.mark.timeout(720)


@pytest.fixture(scope="module")
def producers(start_producers: Callable[..., Producers]) -> Iterator[Producers]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "limit_of", lambda _asked, _most: 1)
        yield start_producers(GeneratedMarket(seed=7, tickers=UNIVERSE), RULE)


def capture(producers: Producers, lake: Path) -> dict[date, str]:
    """Capture the sessions by the command line, undisturbed; return their revisions."""
    arguments = ["--start", str(SESSIONS[0]), "--end", str(SESSIONS[-1]), "--lake", str(lake)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", f"[{', '.join(UNIVERSE)}]")
        assert main(["backfill", "equities", *arguments, "--url", producers.simulator.url]) == 0
    published = {session: Lake.open(lake).manifest("equities", session) for session in SESSIONS}
    return {session: manifest.revision for session, manifest in published.items() if manifest}


class Revisions:
    """What readers may see while the sessions are captured anew: old or new, whole; never neither or half."""

    def __init__(self, lake: Lake, old: dict[date, str], new: dict[date, str]) -> None:
        self.lake = lake
        self.old = old
        self.new = new
        self.seen: dict[date, tuple[int, int]] = {}

    def look(self) -> None:
        for session in SESSIONS:
            file = Path(self.lake.root, paths.partition("equities", session))
            seen = file.stat()
            if self.seen.get(session) == (seen.st_ino, seen.st_mtime_ns):
                continue  # not replaced since it was found good
            self.seen[session] = seen.st_ino, seen.st_mtime_ns
            partition = self.lake.partition("equities", session)
            assert partition is not None, session
            table, manifest = partition.table, partition.manifest
            assert revision_of(table) == manifest.revision, session
            assert manifest.revision in (self.old[session], self.new[session]), session
            assert manifest.rows == table.num_rows == sum(known.rows for known in manifest.coverage.values()), session
            assert [path.name for path in file.parent.iterdir()] == ["equities.parquet"], session


@pytest.fixture(scope="module")
def revisions(producers: Producers, tmp_path_factory: pytest.TempPathFactory) -> Revisions:
    """Publish an old revision of each session, which lacks half of SPY's bars, and learn the new one elsewhere."""
    new = capture(producers, tmp_path_factory.mktemp("undisturbed"))
    producers.simulator.faults.add(Fault(kind="clipped_history", ticker="SPY", count=None))
    old = capture(producers, producers.lake_root)
    producers.simulator.faults.clear()
    assert set(old.values()).isdisjoint(new.values())
    return Revisions(producers.lake, old, new)


@pytest.fixture(scope="module")
def runs(producers: Producers, revisions: Revisions) -> list[Run]:
    """Backfill all sessions, kill each once, and return the runs that healed."""
    for session, step in KILLED_IN_PUBLISH.items():
        (producers.faults / f"{step}@{session}").touch()
    (producers.faults / f"{PAGE_STAGED}@{KILLED_IN_PLAN}").touch()
    producers.simulator.requests.clear()
    producers.simulator.faults.add(Fault(kind="hang", ticker="QQQ", session=KILLED_IN_FETCH))
    producers.api.backfill(PRODUCER, SESSIONS[0], SESSIONS[-1], conf={"force": True}, max_active_runs=len(SESSIONS))
    wait_until(lambda: "QQQ" in producers.asked(KILLED_IN_FETCH), "the fetch did not begin")
    kill_fetch(producers)

    def all_over() -> bool:
        revisions.look()
        return all(run.is_over for run in producers.backfilled(SESSIONS[0], SESSIONS[-1]))

    wait_until(all_over, "the killed sessions did not heal", timeout_s=300)
    return producers.backfilled(SESSIONS[0], SESSIONS[-1])


def kill_fetch(producers: Producers) -> None:
    [run] = producers.backfilled(KILLED_IN_FETCH, KILLED_IN_FETCH)
    [fetch] = [task for task in producers.api.task_instances(PRODUCER, run.dag_run_id) if task.task_id == "ingest"]
    assert fetch.state == "running"
    assert fetch.pid is not None
    os.kill(fetch.pid, signal.SIGKILL)


def test_every_kill_happened_and_airflow_ran_the_killed_task_again(runs: list[Run], producers: Producers) -> None:
    assert list(producers.faults.iterdir()) == []
    assert [run.partition_key for run in runs] == [str(session) for session in SESSIONS]
    assert {run.state for run in runs} == {"success"}
    for run in runs:
        tries = {task.task_id: task.try_number for task in producers.api.task_instances(PRODUCER, run.dag_run_id)}
        killed = {str(KILLED_IN_FETCH): "ingest", str(KILLED_IN_PLAN): "plan"}.get(str(run.partition_key), "publish")
        assert {task for task, tried in tries.items() if tried > 1} == {killed}, run.partition_key


def test_every_session_is_published_once_and_whole(runs: list[Run], producers: Producers, revisions: Revisions) -> None:
    revisions.look()
    for run, session in zip(runs, SESSIONS, strict=True):
        manifest = producers.lake.manifest("equities", session)
        assert manifest is not None
        assert (manifest.revision, manifest.run_id) == (revisions.new[session], run.dag_run_id)
        [replaced] = producers.lake.storage.list(paths.revisions("equities", session))
        assert revisions.old[session][:12] in replaced.key.name
        # The index follows the partition, also when its writer died between the two.
        index = (producers.lake_root / paths.manifest("equities", session)).read_text()
        assert manifest.publication_id in index, session


def test_the_rule_was_resolved_as_of_each_session_and_is_stored_with_it_and_its_answers(
    runs: list[Run], producers: Producers
) -> None:
    for session in SESSIONS:
        manifest = producers.lake.manifest("equities", session)
        stored = stored_universe(producers.lake, "equities", session)
        assert manifest is not None
        assert stored is not None
        assert manifest.universe == stored
        assert (stored.required, stored.origin) == (UNIVERSE, "rule active, types CS, ETF")
        [answers] = [producers.lake.read_parquet(paths.raws("universe", session) / name) for name in stored.raw]
        assert answers is not None
        assert answers.num_rows == len(UNIVERSE)


def test_no_page_of_the_rules_answers_is_asked_for_twice_also_by_the_plan_that_was_killed_between_two(
    runs: list[Run], producers: Producers
) -> None:
    asked = [request for request in producers.simulator.requests if request.path == "/v3/reference/tickers"]
    for session in SESSIONS:
        pages = [str(request.query) for request in asked if request.session == session]
        assert len(pages) == len(set(pages)) == len(UNIVERSE), session


def test_no_announcement_is_lost_and_none_is_acted_upon_twice(
    runs: list[Run], producers: Producers, revisions: Revisions
) -> None:
    of_interest = {str(session) for session in SESSIONS}
    consumed = [(session, revision) for session, revision in producers.consumed() if session in of_interest]
    assert sorted(consumed) == [(str(session), revision) for session, revision in revisions.new.items()]
    for asset in ("equities", "session_ready"):
        keys = [event.partition_key for event in producers.events(asset)]
        assert {session: keys.count(session) for session in of_interest} == dict.fromkeys(of_interest, 1), asset


def test_a_fetch_killed_half_way_asks_for_its_batch_again(runs: list[Run], producers: Producers) -> None:
    of_bars = [ticker for ticker in producers.asked(KILLED_IN_FETCH) if ticker is not None]
    assert of_bars == ["AAPL", "MSFT", "QQQ", *UNIVERSE]
