"""What one Airflow said of itself, judged."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import cast

import msgspec
import pytest

from bellwether.airflow_api import AirflowApi, ApiError, Dag, DagSchedule, Run
from bellwether.doctor.airflow import AirflowFacts, judge, look, schedule_of
from bellwether.doctor.finding import Finding, Level

POOLS = {"vendor_requests", "publish_equities"}
WELL = AirflowFacts(
    version="3.3.2",
    health=dict.fromkeys(("metadatabase", "scheduler", "dag_processor", "triggerer"), "healthy"),
    dags=(Dag("equities_daily", is_paused=False),),
    pools={"default_pool", *POOLS},
    users={
        "default_pool": ["equities_daily.plan"],
        "publish_equities": ["equities_daily.publish"],
        "vendor_requests": ["equities_daily.ingest.fetch"],
    },
    connections={"polygon_default": "polygon", "lake_default": "fs", "alerts": "apprise"},
)


def findings(**changes: object) -> dict[str, Finding]:
    return {finding.check: finding for finding in judge(replace(WELL, **changes), POOLS)}


def test_an_airflow_that_is_well_has_nothing_but_ok() -> None:
    assert {finding.level for finding in findings().values()} == {Level.OK}


@pytest.mark.parametrize(
    ("changes", "check", "level", "words"),
    [
        pytest.param(
            {"health": {**WELL.health, "triggerer": "unhealthy"}},
            "airflow",
            Level.PROBLEM,
            "never go on",
            id="triggerer",
        ),
        pytest.param({"health": {}}, "airflow", Level.PROBLEM, "scheduler, dag_processor, triggerer", id="all down"),
        pytest.param({"dags": ()}, "dags", Level.PROBLEM, "none of Bellwether's DAGs", id="no DAGs"),
        pytest.param({"import_errors": {"x.py": "boom"}}, "dags", Level.PROBLEM, "x.py", id="import error"),
        pytest.param({"dags": (Dag("equities_daily", is_paused=True),)}, "dags", Level.WARNING, "paused", id="paused"),
        pytest.param(
            {"pools": {"default_pool", "vendor_requests"}},
            "pools",
            Level.PROBLEM,
            "publish_equities; equities_daily.publish would wait for ever",
            id="pool missing in Airflow",
        ),
        pytest.param(
            {"users": {**WELL.users, "misspelt": ["equities_daily.x"]}},
            "pools",
            Level.PROBLEM,
            "misspelt; equities_daily.x would wait for ever",
            id="pool missing everywhere",
        ),
        pytest.param(
            {"users": {**WELL.users, "own": ["equities_daily.x"]}, "pools": {*WELL.pools, "own"}},
            "pools",
            Level.WARNING,
            "not in config/pools.json",
            id="pool made by hand",
        ),
        pytest.param(
            {"users": {}, "pools": {"default_pool"}},
            "pools",
            Level.WARNING,
            "missing in Airflow",
            id="pools not imported",
        ),
        pytest.param({"connections": {}}, "connection polygon_default", Level.UNKNOWN, "not shown", id="no vendor"),
        pytest.param({"connections": {}}, "connection alerts", Level.WARNING, "its log alone", id="no alerts"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], check: str, level: Level, words: str) -> None:
    finding = findings(**changes)[check]
    assert finding.level is level
    assert words in finding.says


def test_a_pool_that_stands_nowhere_is_first_added_to_the_file() -> None:
    advice = findings(users={"misspelt": ["equities_daily.x"]})["pools"].advice
    assert advice == "add misspelt to config/pools.json, then airflow pools import config/pools.json"


class FakeApi:
    """Answers about one DAG's schedule."""

    def __init__(self, plans: DagSchedule) -> None:
        self.plans = plans

    def schedule(self, dag_id: str) -> DagSchedule:
        return self.plans

    def runs(self, dag_id: str) -> list[Run]:
        return [Run(dag_id, "scheduled__x", "scheduled", "success", "2025-07-01")]


@pytest.mark.parametrize(
    ("plans", "next_session", "catches_up_from"),
    [
        pytest.param(
            # 20:15 New York is the next day in UTC.
            DagSchedule(
                catchup=True,
                start_date=datetime(2025, 6, 2, 4, tzinfo=UTC),
                next_dagrun_run_after=datetime(2025, 7, 3, 0, 15, tzinfo=UTC),
            ),
            date(2025, 7, 2),
            date(2025, 6, 2),
            id="catches up",
        ),
        pytest.param(
            DagSchedule(catchup=False, start_date=datetime(2003, 9, 10, 4, tzinfo=UTC)),
            None,
            None,
            id="nothing to come",
        ),
    ],
)
def test_the_next_session_is_read_off_the_next_run(
    plans: DagSchedule, next_session: date | None, catches_up_from: date | None
) -> None:
    known = schedule_of(cast(AirflowApi, FakeApi(plans)), "equities_daily", WELL)
    assert known is not None
    assert known.schedule.next_session == next_session
    assert known.catches_up_from == catches_up_from
    assert len(known.schedule.runs) == 1


def test_without_the_dag_there_is_no_schedule() -> None:
    api = cast(AirflowApi, FakeApi(DagSchedule(catchup=False)))
    assert schedule_of(api, "equities_daily", replace(WELL, dags=())) is None


@pytest.mark.parametrize("error", [KeyError("version"), ValueError("<html>"), msgspec.ValidationError("no pools")])
def test_what_is_no_airflow_is_told_as_such(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse() -> str:
        raise error

    api = AirflowApi("http://airflow", "admin", "word")
    monkeypatch.setattr(api, "health", dict)
    monkeypatch.setattr(api, "version", refuse)
    with pytest.raises(ApiError, match="does not speak as Airflow 3's REST API"):
        look(api)
