"""The look back on sessions, run in process: what it announces, what it writes down."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from bellwether.config import Config
from bellwether.lake import Lake, read
from tests.builders import publish_bars, publish_gold_of
from tests.dags.support import UNIVERSE, events, states

Run = Callable[..., Any]
FIRST, SECOND, THIRD = date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 3)


def test_gold_that_is_missing_or_stale_is_announced_and_what_was_seen_is_written_down(
    dags: dict[str, Any], run_session: Run, lake_root: Path
) -> None:
    lake = Lake.open(lake_root, simulated=True)
    for session in (FIRST, SECOND, THIRD):
        publish_bars(lake, UNIVERSE, session)
        publish_gold_of(lake, session, Config.load())
    publish_bars(lake, UNIVERSE, SECOND, seed=1)
    run = run_session(dags["ops_health"], str(THIRD), {"sessions": 4})
    assert run.state == "success"
    # The third begins with the second; the one before the first has no inputs.
    assert sorted(events()) == [("session_ready", str(SECOND)), ("session_ready", str(THIRD))]
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == "look"]
    summary = ti.xcom_pull(task_ids="look", key="summary")
    assert (
        "Gold of 4 sessions: 2 stale, 1 missing, 1 complete. Announced to be built: 2025-07-02, 2025-07-03." in summary
    )
    rows = read("health", THIRD, THIRD, root=lake_root).to_pylist()
    assert {row["session"] for row in rows if row["dataset"] == "minutes" and row["is_announced"]} == {SECOND, THIRD}
    for session in (SECOND, THIRD):
        publish_gold_of(lake, session, Config.load())
    again = run_session(dags["ops_health"], str(THIRD), {"sessions": 4})
    assert (again.state, states(again)["announce"]) == ("success", "skipped")
    assert len(events()) == 2
