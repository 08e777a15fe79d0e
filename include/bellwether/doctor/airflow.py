"""Airflow, seen through its REST API: health, DAGs, pools, Connections.

Facts are asked for once and judged apart. Of Connections names and types are read, never what is in them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import msgspec

from bellwether.airflow_api import AirflowApi, ApiError, Dag
from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.doctor.finding import Finding, ok, problem, unknown, warning
from bellwether.doctor.schedule import Schedule, sessions_run
from bellwether.due import DUE
from bellwether.producers import DATASETS_OF

_TAG = "bellwether"
_DEFAULT_POOL = "default_pool"
_COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_CONNECTIONS = {
    "polygon_default": "without it no run can ask the vendor",
    "lake_default": "without it lake.root of settings.yaml is the lake",
    "alerts": "without it a failed run is told in its log alone",
}


@dataclass(frozen=True)
class AirflowFacts:
    """What one Airflow said of itself.

    Attributes
    ----------
    version
        Its version.
    health
        State of every component that reports one.
    dags
        The project's DAGs.
    import_errors
        DAG files that do not import, with their tracebacks.
    pools
        Names of the pools that exist.
    users
        Tasks by the pool they name, as `dag.task`.
    connections
        Types by id, of the Connections in Airflow's database.
    """

    version: str
    health: Mapping[str, str]
    dags: Sequence[Dag] = ()
    import_errors: Mapping[str, str] = field(default_factory=dict)
    pools: Collection[str] = ()
    users: Mapping[str, Sequence[str]] = field(default_factory=dict)
    connections: Mapping[str, str] = field(default_factory=dict)


def look(api: AirflowApi) -> AirflowFacts:
    """Ask an Airflow; ApiError where it does not answer, refuses, or is something else."""
    try:
        # Health first: asked once and without login, so an Airflow that is down costs no patience.
        health, version = api.health(), api.version()
        dags = [dag for dag in api.dags() if dag.has_tag(_TAG)]
        users: dict[str, list[str]] = {}
        for dag in dags:
            for task_id, pool in api.task_pools(dag.dag_id).items():
                users.setdefault(pool, []).append(f"{dag.dag_id}.{task_id}")
        return AirflowFacts(
            version, health, dags, api.import_errors(), frozenset(api.pools()), users, api.connections()
        )
    except (msgspec.MsgspecError, ValueError, LookupError) as error:
        message = f"what answers does not speak as Airflow 3's REST API ({type(error).__name__}: {error})"
        raise ApiError(message) from error


def judge(facts: AirflowFacts, expected_pools: Collection[str]) -> list[Finding]:
    """Return the findings.

    Parameters
    ----------
    facts
        What Airflow said.
    expected_pools
        Names in `config/pools.json`.
    """
    return [
        judge_health(facts),
        judge_dags(facts),
        judge_pools(facts, expected_pools),
        *judge_connections(facts),
    ]


def judge_health(facts: AirflowFacts) -> Finding:
    """Return whether every component lives; the triggerer too, since tasks that wait are deferred to it."""
    down = [name for name in _COMPONENTS if facts.health.get(name) != "healthy"]
    if not down:
        return ok("airflow", f"version {facts.version}; scheduler, dag processor and triggerer are healthy")
    says = f"version {facts.version}; not healthy: {', '.join(down)}"
    if down == ["triggerer"]:
        return problem("airflow", f"{says}: tasks that wait for the vendor never go on", "start `airflow triggerer`")
    return problem("airflow", f"{says}: runs are late, or do not start", "start what is down and read its log")


def judge_dags(facts: AirflowFacts) -> Finding:
    """Return whether the project's DAGs are there, import, and run by themselves."""
    if facts.import_errors:
        names = ", ".join(sorted(facts.import_errors))
        return problem(
            "dags",
            f"do not import: {names}",
            "read the error on Airflow's first page, or airflow dags list-import-errors",
        )
    if not facts.dags:
        return problem("dags", "Airflow has none of Bellwether's DAGs", "point its dags folder at this project's dags/")
    paused = sorted(dag.dag_id for dag in facts.dags if dag.is_paused)
    if paused:
        return warning(
            "dags",
            f"paused: {', '.join(paused)}; what these do is not done by itself",
            "unpause in Airflow's UI those you want",
        )
    return ok("dags", f"{', '.join(sorted(dag.dag_id for dag in facts.dags))}: imported and not paused")


def judge_pools(facts: AirflowFacts, expected: Collection[str]) -> Finding:
    """Return whether every pool a task names exists: without it the task waits for ever, and nothing says so."""
    missing = sorted(facts.users.keys() - set(facts.pools))
    if missing:
        waiting = ", ".join(user for pool in missing for user in facts.users[pool])
        says = f"missing in Airflow: {', '.join(missing)}; {waiting} would wait for ever"
        advice = "airflow pools import config/pools.json"
        unlisted = sorted(set(missing) - set(expected))
        if unlisted:
            advice = f"add {', '.join(unlisted)} to config/pools.json, then {advice}"
        return problem("pools", says, advice)
    unlisted = sorted(facts.users.keys() - set(expected) - {_DEFAULT_POOL})
    if unlisted:
        says = f"{', '.join(unlisted)} stand in DAGs and in Airflow, but not in config/pools.json"
        return warning("pools", f"{says}: the next deployment will lack them", "add them to config/pools.json")
    unmade = sorted(set(expected) - set(facts.pools))
    if unmade:
        return warning("pools", f"missing in Airflow: {', '.join(unmade)}", "airflow pools import config/pools.json")
    return ok("pools", f"all that DAGs name exist: {', '.join(sorted(facts.users.keys() - {_DEFAULT_POOL}))}")


def judge_connections(facts: AirflowFacts) -> list[Finding]:
    """Return which Connections stand in Airflow's database; others, of its environment, the API does not show."""
    findings = []
    for name, otherwise in _CONNECTIONS.items():
        check = f"connection {name}"
        if name in facts.connections:
            findings.append(ok(check, f"is there, of type {facts.connections[name]}"))
            continue
        variable = f"AIRFLOW_CONN_{name.upper()}"
        says = f"not in Airflow's database; one of {variable} or of a secrets backend is not shown; {otherwise}"
        if name == "alerts":
            findings.append(warning(check, says, f"add it under Admin, Connections, unless {variable} is set"))
        else:
            findings.append(unknown(check, says))
    return findings


@dataclass(frozen=True)
class DagFacts:
    """What is known of one DAG's runs.

    Attributes
    ----------
    schedule
        What it has done and will do.
    catches_up_from
        The first session it owes from its start on; None where it does not catch up.
    """

    schedule: Schedule
    catches_up_from: date | None

    @property
    def owed(self) -> set[date]:
        """The sessions it has run, and the first it owes."""
        return sessions_run(self.schedule.runs) | ({self.catches_up_from} if self.catches_up_from else set())


def schedule_of(api: AirflowApi, dag_id: str, facts: AirflowFacts) -> DagFacts | None:
    """Return what a daily DAG has done and will do; None where Airflow has no such DAG."""
    if dag_id not in {dag.dag_id for dag in facts.dags}:
        return None
    plans = api.schedule(dag_id)
    due = plans.next_dagrun_run_after
    next_session = get_calendar().last_due(due, DUE[DATASETS_OF[dag_id][0]]) if due else None
    begins = plans.start_date.astimezone(NEW_YORK).date() if plans.catchup and plans.start_date else None
    return DagFacts(Schedule(dag_id, api.runs(dag_id), next_session), begins)
