"""What people are told by a real Airflow, by mail and by webhook, from the first word of an incident to its end.

One scenario: a producer fails, fails worse, and is mended; a half day fails and is mended; a holiday; a stream that
stalls and hears again; a task that is killed; a session that is overdue, as its run waits for a slot, and comes at
last. A dead sink stands beside those that hear.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest

from bellwether.airflow_api import ApiError, Run
from bellwether.clock import SimulatedClock, SystemClock
from bellwether.incidents.ledger import at_work
from bellwether.lake import Lake, read
from bellwether.simulator.faults import Fault
from bellwether.streaming.assignment import whole_session
from bellwether.streaming.lease import Heartbeat, Lease
from tests.builders import publish_indices
from tests.e2e.support import KILLED_DAG, PRODUCER, STALLED_DAG, STALLED_SESSION, Producers, wait_until
from tests.recordings import WRITER
from tests.sink import Mailbox, Sink

pytestmark = pytest.mark.timeout(600)

LATE = "indices_daily"
SESSION, HALF_DAY, HOLIDAY = date(2025, 7, 7), date(2025, 7, 3), date(2025, 7, 4)
TRUNCATED = (
    "Truncated ({who}): the vendor's answer was not what it promises; clear later, and tell the vendor if it stays."
)


class Story:
    """The scenario as it goes on, and what both sinks heard since it was looked at last."""

    def __init__(self, operated: Producers, sink: Sink, mailbox: Mailbox) -> None:
        self.operated, self._sink, self._mailbox = operated, sink, mailbox
        self._heard = (len(sink.messages), len(mailbox.mails))

    def heard(self, *expected: str) -> dict[str, str]:
        """Return the bodies by title of what came since, once that is exactly what is expected, in any order."""
        posted, mailed = self._heard
        wait_until(lambda: len(self._sink.messages) >= posted + len(expected), f"heard {self.titles()[posted:]}")
        wait_until(lambda: len(self._mailbox.mails) >= mailed + len(expected), f"mailed {self._mailbox.subjects}")
        messages = self._sink.messages[posted:]
        titles = sorted(message["title"] for message in messages)
        assert titles == sorted(expected), titles
        assert sorted(self._mailbox.subjects[mailed:]) == sorted(expected)
        self._heard = (posted + len(messages), mailed + len(messages))
        return {message["title"]: message["message"] for message in messages}

    def titles(self) -> list[str]:
        return [message["title"] for message in self._sink.messages]


@pytest.fixture(scope="module")
def story(operated: Producers, sink: Sink, mailbox: Mailbox) -> Story:
    # Long ago, so that the last session was awaited when it was due.
    then = SimulatedClock(datetime(2025, 7, 8, tzinfo=UTC), speed=0)
    publish_indices(Lake.open(operated.lake_root, simulated=True, clock=then), SESSION)
    slots(operated, 0)
    for dag_id in (KILLED_DAG, STALLED_DAG, LATE):
        operated.api.wait_for_dags([dag_id])
        operated.api.set_paused(dag_id, paused=False)
    return Story(operated, sink, mailbox)


@pytest.fixture(scope="module")
def failed(story: Story) -> Iterator[dict[str, Run]]:
    """Have everything fail at once; return the producer's runs by session."""
    operated = story.operated
    for session, ticker in ((SESSION, "QQQ"), (HALF_DAY, "SPY")):
        operated.simulator.faults.add(Fault(kind="cut_json", ticker=ticker, session=session, count=None))
    started = {str(session): operated.api.trigger(PRODUCER, str(session)) for session in (SESSION, HALF_DAY)}
    others = {dag_id: operated.api.trigger(dag_id) for dag_id in (KILLED_DAG, STALLED_DAG)}
    runs = {key: operated.api.wait_for_run(PRODUCER, run.dag_run_id) for key, run in started.items()}
    ended = {dag_id: operated.api.wait_for_run(dag_id, run.dag_run_id).state for dag_id, run in others.items()}
    assert {run.state for run in runs.values()} == {"failed"}
    assert ended == {KILLED_DAG: "failed", STALLED_DAG: "success"}
    yield runs
    operated.simulator.faults.clear()


def test_each_failure_is_one_message_that_says_what_how_far_and_what_to_do(
    story: Story, failed: dict[str, Run]
) -> None:
    killed, [late] = story.operated.api.runs(KILLED_DAG)[-1], story.operated.api.runs(LATE)
    subjects = {
        "failed": f"equities {SESSION}: 1 of 4 tickers failed",
        "half day": f"equities {HALF_DAY}: 1 of 4 tickers failed",
        "killed": f"killed {killed.dag_run_id}: dies failed",
        "stalled": f"equities_live {STALLED_SESSION}: stalled",
        "late": f"indices {late.partition_key}: overdue",
    }
    lake = story.operated.lake
    # The dag-processor tells of runs that failed some seconds later.
    for begin in (f"equities.{SESSION}", f"equities.{HALF_DAY}", f"equities_live.{STALLED_SESSION}", "killed."):
        wait_until(partial(_knows, lake, begin), f"nobody noticed {begin}")
    story.operated.sweep()
    bodies = story.heard(*subjects.values())
    body = bodies[subjects["failed"]]
    assert f"- {TRUNCATED.format(who='QQQ')}" in body
    assert "The other tickers are published." in body
    link = f"{story.operated.stack.state.url}/dags/{PRODUCER}/runs/manual__"
    assert f"Clear the failed tasks with everything downstream: {link}" in body
    assert f"Incident equities.{SESSION}.vendor. To hear nothing more of it for a while: " in body
    assert f"- {TRUNCATED.format(who='SPY')}" in bodies[subjects["half day"]]
    assert "- killed (dies): the task ended without a word" in bodies[subjects["killed"]]
    assert "for 15 minutes: connecting. It has everything until 15:02 UTC." in bodies[subjects["stalled"]]
    body = bodies[subjects["late"]]
    assert body.startswith("Due since ")
    assert "- indices: missing: I:VIX; never fetched" in body
    assert f"or why there is none: {story.operated.stack.state.url}/dags/{LATE}" in body


def test_what_grows_and_what_healed_is_told_and_what_failed_again_alike_is_not(
    story: Story, failed: dict[str, Run]
) -> None:
    operated = story.operated
    for ticker in ("AAPL", "MSFT"):
        operated.simulator.faults.add(Fault(kind="cut_json", ticker=ticker, session=SESSION, count=None))
    worse = operated.api.trigger(PRODUCER, str(SESSION), {"force": True})
    # It is red again, and nothing is new.
    again = failed[str(HALF_DAY)]
    operated.api.clear(PRODUCER, again.dag_run_id, only_failed=True)
    for run in (worse, again):
        assert operated.api.wait_for_run(PRODUCER, run.dag_run_id).state == "failed"
    listen_again(operated.lake)
    wait_until(lambda: _failed(operated.lake, f"equities.{SESSION}") == 3, "nobody noticed that it grew")
    operated.sweep()
    grown = f"equities {SESSION}: 3 of 4 tickers failed (1 when last told)"
    hears = f"equities_live {STALLED_SESSION}: healed"
    bodies = story.heard(grown, hears)
    assert bodies[grown].startswith("It has grown: 1 when last told.")
    assert f"- {TRUNCATED.format(who='AAPL, MSFT, QQQ')}" in bodies[grown]
    assert bodies[hears].startswith(f"Healed by the recorder {WRITER.name}.\n\n- equities_live, stall: ")


def test_of_a_holiday_there_is_neither_a_run_nor_a_word_and_what_is_mended_is_told_with_the_run_that_did(
    story: Story, failed: dict[str, Run]
) -> None:
    operated, half = story.operated, failed[str(HALF_DAY)]
    operated.simulator.faults.clear()
    with pytest.raises(ApiError, match="nearest: 2025-07-03, 2025-07-07"):
        operated.api.trigger(PRODUCER, str(HOLIDAY))
    operated.api.clear(PRODUCER, half.dag_run_id, [("ingest", 1)], only_failed=False)
    mending, [late] = operated.trigger(str(SESSION)), operated.api.runs(LATE)
    slots(operated, 1)
    assert operated.api.wait_for_run(LATE, late.dag_run_id).state == "success"
    assert (mending.state, operated.api.wait_for_run(PRODUCER, half.dag_run_id).state) == ("success", "success")
    operated.sweep()
    mended = {f"equities {SESSION}: healed": mending, f"equities {HALF_DAY}: healed": half}
    came = f"indices {late.partition_key}: healed"
    bodies = story.heard(*mended, came)
    assert bodies[came].startswith(f"Healed by run {late.dag_run_id}.\n\n- indices, ours: ")
    for title, run in mended.items():
        assert bodies[title].startswith(f"Healed by run {run.dag_run_id}.\n\n- equities, vendor: ")
        assert bodies[title].endswith("Nothing is left to be done.")
    assert not [title for title in story.titles() if str(HOLIDAY) in title]
    [row] = read("incidents", SESSION, SESSION, root=operated.lake_root).to_pylist()
    assert (row["cause"], row["state"], row["updates"]) == ("vendor", "healed", 1)


def test_a_dead_sink_is_logged_and_no_log_holds_its_address(story: Story, failed: dict[str, Run]) -> None:
    logs = [path.read_text(errors="replace") for path in Path(story.operated.stack.home / "logs").rglob("*.log")]
    told = "\n".join(logs)
    assert "a sink did not take the alert" in told
    assert "open-sesame" not in told


def slots(operated: Producers, count: int) -> None:
    """Set how many sessions of indices may be published at once."""
    pool = {"pool": "publish_indices", "slots": count, "description": "", "include_deferred": False}
    operated.api.request("PATCH", "pools/publish_indices", pool, query={"update_mask": "slots"})


def listen_again(lake: Lake) -> None:
    """Leave in the lake what a recorder does that hears."""
    at = whole_session("equities", STALLED_SESSION).start
    lease = Lease(Lake.open(lake.root, simulated=True, clock=SystemClock()), "equities", STALLED_SESSION, WRITER)
    lease.take(at)
    beat = Heartbeat(at_utc=at, state="listening", seq=1, rows=1, gaps=0, covered_utc=at, lag_s=None, quiet=0)
    lease.renew(at, beat)


def _knows(lake: Lake, incident: str) -> bool:
    return any(each.incident_id.startswith(incident) for each in at_work(lake))


def _failed(lake: Lake, incident: str) -> int:
    """Return how many failed when an incident was reported last."""
    return max((each.last.failed for each in at_work(lake) if each.incident_id.startswith(incident)), default=0)
