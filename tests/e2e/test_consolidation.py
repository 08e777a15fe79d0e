"""Gold heals by itself, on a real Airflow: each set of inputs is published exactly once, whatever happens to its runs.

Four required sources, three adjoining sessions and two apart, all on one stack and as much as can be at the same time.
They were captured by the command line, when the vendor still had half of some bars; what is fetched again is a
revision. Consolidation is held up before its publication meanwhile, by a pool without slots. Of one session the gold
was built too, before Airflow began with an empty database: to it that lake is one whose database was reset.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import quote

import pytest

from bellwether.airflow_api import Run
from bellwether.calendar import get_calendar
from bellwether.cli.main import main
from bellwether.clock import SystemClock
from bellwether.config import Config
from bellwether.consolidate.inputs import published_inputs
from bellwether.due import LOOKED_AT
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from tests.e2e.support import CONSUMER, PRODUCER, Producers, wait_until

HEALTH = "ops_health"
SOURCES = {"equities": PRODUCER, "options": "options_daily", "indices": "indices_daily", "news": "news_daily"}
UNIVERSE = ["AAPL", "SPY"]
SETTINGS = {
    **{f"BELLWETHER__SOURCES__{source.upper()}__REQUIRED": "true" for source in SOURCES},
    "BELLWETHER__SOURCES__EQUITIES__UNIVERSE": json.dumps(UNIVERSE),
    "BELLWETHER__SOURCES__OPTIONS__UNIVERSE": json.dumps(["AAPL"]),
    "BELLWETHER__SOURCES__OPTIONS__CONTRACTS": json.dumps({"strikes": {"percent": 0.5}, "lookahead_days": 7}),
    "BELLWETHER__INGEST__BATCH_TICKERS": "600",
    "BELLWETHER__CONSOLIDATION__WARMUP_SESSIONS": "1",
}


def _sessions() -> list[date]:
    """Return the last sessions, ascending: unpaused, every DAG begins with the last one."""
    found = [get_calendar().last_due(SystemClock().now(), LOOKED_AT)]
    while len(found) < 8:
        found.insert(0, get_calendar().previous(found[0]))
    return found


# Three that adjoin; the others are no warm-up of each other, nor of these.
BUILT, _, KILLED, _, _, FIRST, SECOND, THIRD = _sessions()
SESSIONS = (KILLED, FIRST, SECOND, THIRD)
NONE = dict.fromkeys(SESSIONS, 0)

# What the vendor has only half of at first.
CLIPPED = [
    Fault(kind="clipped_history", ticker="SPY", session=FIRST, count=None),
    Fault(kind="clipped_history", ticker="I:VIX", session=SECOND, count=None),
    Fault(kind="clipped_history", path="/v2/aggs/ticker/O:", session=SECOND, count=None),
    Fault(kind="clipped_history", ticker="I:VIX", session=THIRD, count=None),
    Fault(kind="clipped_history", ticker="I:VIX", session=KILLED, count=None),
]

pytestmark = pytest.mark.timeout(720)


@dataclass
class Story:
    """What happened, chapter by chapter.

    Attributes
    ----------
    published
        How many publications of gold each session had at the end of each chapter.
    outcomes
        How the consolidations of each session had ended by then: states of their `publish`, counted.
    runs, tasks
        Runs that were started here and the states of their tasks, by name.
    """

    producers: Producers
    published: dict[str, dict[date, int]] = field(default_factory=dict)
    outcomes: dict[str, dict[date, Counter[str | None]]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    tasks: dict[str, dict[str, str | None]] = field(default_factory=dict)

    def start(self, name: str, dag_id: str, session: date, **params: object) -> None:
        self.runs[name] = self.producers.api.trigger(dag_id, str(session), params)

    def clear(self, name: str) -> None:
        self.producers.api.clear(self.runs[name].dag_id, self.runs[name].dag_run_id, only_failed=False)

    def finish(self, *names: str) -> None:
        for name in names:
            run = self.runs[name]
            self.runs[name] = self.producers.api.wait_for_run(run.dag_id, run.dag_run_id)
            self.tasks[name] = self._states(run)

    def announced(self, name: str) -> str:
        """Return what a look back says it has announced to be built."""
        path = f"dags/{HEALTH}/dagRuns/{quote(self.runs[name].dag_run_id)}/taskInstances/look/xcomEntries/summary"
        written = json.loads(self.producers.api.request("GET", path))["value"]
        return str(written).partition("Announced to be built: ")[2].partition(".")[0]

    def end(self, chapter: str) -> None:
        """Wait until all is quiet, and count."""
        wait_until(self._is_quiet, "consolidation goes on", timeout_s=120)
        self.published[chapter] = {session: len(self.producers.gold(session)) for session in SESSIONS}
        self.outcomes[chapter] = {
            session: Counter(self._states(run)["publish"] for run in self.producers.api.runs(CONSUMER, str(session)))
            for session in SESSIONS
        }

    def new(self, chapter: str, before: str) -> dict[date, int]:
        """Return how many publications of gold a chapter brought."""
        return {session: count - self.published[before][session] for session, count in self.published[chapter].items()}

    def held(self, session: date) -> int:
        """Return how many consolidations of a session stand before their publication."""
        states = [self._states(run) for run in self.producers.api.runs(CONSUMER, str(session))]
        return sum(each["build_minutes"] == "success" and each["publish"] == "scheduled" for each in states)

    def allow(self, publications: int) -> None:
        """Say how many publications of gold may go on at a time."""
        pool = {"pool": "publish_gold", "slots": publications, "include_deferred": False}
        self.producers.api.request("PATCH", "pools/publish_gold", pool)

    def _states(self, run: Run) -> dict[str, str | None]:
        tasks = self.producers.api.task_instances(run.dag_id, run.dag_run_id)
        return {task.task_id: task.state for task in tasks}

    def _is_quiet(self) -> bool:
        if not all(run.is_over for run in self.producers.api.runs(CONSUMER)):
            return False
        # What came while consolidation was paused was heard by nobody; the newest of a session is not among it.
        newest = {event.partition_key: event for event in self.producers.events("session_ready")}
        return all(event.is_dealt_with for event in newest.values())


@pytest.fixture(scope="module")
def story(start_producers: Callable[..., Producers]) -> Iterator[Story]:
    """Tell the whole story, under the stack's settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        producers = start_producers(GeneratedMarket(seed=7, tickers=UNIVERSE), UNIVERSE, CLIPPED, **SETTINGS)
        producers.api.wait_for_dags([HEALTH, *SOURCES.values()])
        story = Story(producers)
        begin(story)
        heal_while_held_up(story)
        heal_after_a_pause(story)
        yield story


def begin(story: Story) -> None:
    """Publish all inputs by the command line, which announces nothing, and the gold of one session; look back."""
    producers, lake = story.producers, str(story.producers.lake_root)
    story.start("changed", PRODUCER, FIRST)  # whichever of the two is first captures its tickers
    for start, end in ((BUILT, BUILT), (KILLED, KILLED), (FIRST, THIRD)):
        window = ["--start", str(start), "--end", str(end), "--lake", lake]
        for source in SOURCES:
            assert main(["backfill", source, *window, "--url", producers.simulator.url]) == 0
    assert main(["consolidate", "--session", str(BUILT), "--lake", lake]) == 0
    for name, dag_id in (("built, fetched anew", PRODUCER), ("built, by hand", CONSUMER)):
        story.start(name, dag_id, BUILT, **({"force": True} if dag_id == PRODUCER else {}))
    wait_until(lambda: len(_over(producers.api.runs(PRODUCER))) == 3, "the first runs do not end")
    [story.runs["unchanged"]] = [run for run in producers.api.runs(PRODUCER) if run.run_type == "scheduled"]
    producers.simulator.faults.clear()
    producers.api.set_paused(HEALTH, paused=False)
    wait_until(lambda: producers.api.runs(HEALTH) != [], "the look back does not begin by itself")
    [story.runs["first look"]] = producers.api.runs(HEALTH)
    story.finish("first look", "built, fetched anew", "built, by hand")
    story.end("begun")


def _over(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run.is_over]


def heal_while_held_up(story: Story) -> None:
    """Clear, revise and kill sources while consolidation stands before its publication."""
    producers = story.producers
    story.allow(0)
    (producers.faults / f"publish.returned@{KILLED}").touch()
    for source in ("indices", "options"):
        producers.api.set_paused(SOURCES[source], paused=False)
    story.start("killed", SOURCES["indices"], KILLED, force=True)
    story.clear("changed")
    story.clear("unchanged")
    story.finish("changed")
    for name in ("beside", "beside too"):
        story.start(name, CONSUMER, FIRST)
    wait_until(lambda: story.held(FIRST) == 3 and story.held(SECOND) == 1, "consolidation is not held up")
    for source in ("indices", "options"):
        story.start(f"{source} revised", SOURCES[source], SECOND, force=True)
    story.finish("indices revised", "options revised", "unchanged", "killed")
    story.allow(4)
    story.finish("beside", "beside too")
    story.end("held up")


def heal_after_a_pause(story: Story) -> None:
    """Revise a source while consolidation is paused, unpause it, and look back."""
    story.producers.api.set_paused(CONSUMER, paused=True)
    story.start("unheard", SOURCES["indices"], THIRD, force=True)
    story.finish("unheard")
    story.producers.api.set_paused(CONSUMER, paused=False)
    story.start("second look", HEALTH, THIRD)
    story.finish("second look")
    story.end("paused")


def test_every_run_succeeds(story: Story) -> None:
    assert {name: run.state for name, run in story.runs.items()} == dict.fromkeys(story.runs, "success")
    assert list(story.producers.faults.iterdir()) == []


def test_inputs_that_nobody_announced_are_found_by_the_look_back(story: Story) -> None:
    announced = story.announced("first look")
    assert str(KILLED) in announced
    assert str(BUILT) not in announced
    assert story.published["begun"] == dict.fromkeys(SESSIONS, 1)
    for session in SESSIONS:
        first = story.producers.gold(session)[0]
        assert first.inputs.keys() >= {*SOURCES, "contracts"}


def test_each_set_of_inputs_is_published_exactly_once_and_the_last_one_is_in_force(story: Story) -> None:
    lake = story.producers.lake
    for session in SESSIONS:
        published = [tuple(sorted(gold.inputs.items())) for gold in story.producers.gold(session)]
        assert len(set(published)) == len(published), session
        inputs, chain = published_inputs(lake, Config.load(), session), lake.manifest("chain", session)
        assert (inputs.lacking, dict(published[-1])) == ((), inputs.revisions), session
        assert chain is not None
        assert chain.inputs == inputs.revisions, session


def test_revisions_rebuild_their_sessions_and_the_one_that_begins_with_them_once_and_no_other(story: Story) -> None:
    # The second was revised in two sources at once as well, while it was being built from what it had before.
    assert story.new("held up", before="begun") == {KILLED: 1, FIRST: 1, SECOND: 1, THIRD: 0}


def test_of_several_consolidations_of_one_session_at_the_same_time_one_publishes_and_the_others_skip(
    story: Story,
) -> None:
    assert story.outcomes["held up"][FIRST] == story.outcomes["begun"][FIRST] + Counter(success=1, skipped=2)


def test_what_is_overtaken_while_it_is_built_skips(story: Story) -> None:
    new = story.outcomes["held up"][SECOND] - story.outcomes["begun"][SECOND]
    assert (new["success"], new["skipped"] >= 1, set(new)) == (1, True, {"success", "skipped"})


def test_cleared_without_a_difference_nothing_is_announced(story: Story) -> None:
    tasks = story.tasks["unchanged"]
    assert (tasks["ingest"], tasks["publish"], tasks["announce"]) == ("success", "skipped", "skipped")


def test_what_was_revised_during_a_pause_is_found_by_the_look_back(story: Story) -> None:
    assert story.tasks["unheard"]["announce"] == "success"
    assert story.announced("second look") == str(THIRD)
    assert story.new("paused", before="held up") == NONE | {THIRD: 1}


def test_what_the_database_does_not_know_to_be_built_is_not_built_again(story: Story) -> None:
    tasks = story.tasks["built, fetched anew"]
    assert (tasks["ingest"], tasks["announce"]) == ("success", "skipped")
    assert story.tasks["built, by hand"]["plan"] == "skipped"
    [gold] = story.producers.gold(BUILT)
    assert gold.run_id == "bellwether consolidate"
