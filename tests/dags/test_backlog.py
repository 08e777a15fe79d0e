"""A long backfill of one source, at full size: what Airflow keeps of it, and what it starts behind it.

The scheduler looks at the oldest pending records of all consumers, 500 at most, and passes over none: a record for each
session that lacks a source would keep every later session from being consolidated. Airflow's own code decides here.
"""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate.readiness import readiness
from bellwether.lake import Lake
from tests.builders import publish_bars
from tests.dags.support import KEY, SESSION, events

SESSIONS = 600
CONSUMER = "session_consolidate"


def sessions_before(session: date) -> list[date]:
    found = [get_calendar().previous(session)]
    while len(found) < SESSIONS:
        found.append(get_calendar().previous(found[-1]))
    return found[::-1]


def emit(asset: str, sessions: Sequence[date]) -> None:
    """Record an event for each session, as Airflow does when a task with that outlet has succeeded."""
    from airflow.assets.manager import asset_manager
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        model = session.scalars(select(AssetModel).where(AssetModel.name == asset)).one()
        for each in sessions:
            asset_manager.register_asset_change(asset=model, session=session, partition_key=str(each))


def pending() -> list[tuple[str, str]]:
    """Return DAG and key of each record that waits for its run."""
    from airflow.models.asset import AssetPartitionDagRun as Record
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        waiting = select(Record.target_dag_id, Record.partition_key).where(Record.created_dag_run_id.is_(None))
        return [tuple(row) for row in session.execute(waiting)]


def runs_after_one_pass_of_the_scheduler() -> list[str]:
    """Have the scheduler create the runs that assets call for; return the keys of all the consumer has."""
    from airflow.executors.base_executor import BaseExecutor
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    runner = SchedulerJobRunner(Job(), executors=[Mock(BaseExecutor)])
    with create_session() as session:
        runner._create_dagruns_for_partitioned_asset_dags(session)
    with create_session() as session:
        return list(session.scalars(select(DagRun.partition_key).where(DagRun.dag_id == CONSUMER)))


def test_600_sessions_that_lack_a_source_do_not_hold_up_a_later_one_that_has_all(
    dags: dict[str, Any], run_session: Callable[..., Any], lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", '["SPY"]')
    monkeypatch.setenv("BELLWETHER__SOURCES__INDICES__REQUIRED", "true")
    run_session(dags["equities_daily"], KEY)

    lake, config, backfilled = Lake.open(lake_root), Config.load(), sessions_before(SESSION)
    for session in backfilled:
        publish_bars(lake, ["SPY"], session)
    emit("equities", backfilled)
    emit("session_ready", [session for session in backfilled if readiness(lake, config, session).announce])
    assert (len(events()), pending()) == (SESSIONS + 1, [])

    run_session(dags["indices_daily"], KEY)
    assert pending() == [(CONSUMER, KEY)]
    assert runs_after_one_pass_of_the_scheduler() == [KEY]
    assert pending() == []
