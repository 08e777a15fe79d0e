"""An Airflow of the tests' own: a throwaway home and a migrated SQLite file, copied fresh for each test.

The environment is set before anything imports airflow, which reads it then. The DAGs under test find a
simulated market and an empty lake.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from tests.dags.support import UNIVERSE

REPOSITORY = Path(__file__).parents[2]

if "airflow" in sys.modules:
    pytest.exit("tests/dags needs a process of its own: airflow was imported before its home was set", returncode=4)

HOME = Path(tempfile.mkdtemp(prefix="bellwether-dags-"))
DATABASE = HOME / "airflow.db"
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{DATABASE}",
    "BELLWETHER_CONFIG_DIR": str(REPOSITORY / "config"),
}


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[Path]:
    """Return the home of this run's Airflow; it is removed afterwards."""
    yield HOME
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_database(airflow_home: Path) -> Path:
    """Return a migrated metadata database that knows the project's DAGs: made once, since it takes seconds."""
    from airflow import settings
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.utils.db import initdb

    settings.initialize()
    initdb()
    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    for bundle in manager.get_all_dag_bundles():
        bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        sync_bag_to_db(bag, bundle.name, bundle.version)
    settings.engine.dispose()
    return shutil.copy(DATABASE, airflow_home / "migrated.db")


@pytest.fixture
def airflow_database(migrated_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a metadata database without runs and connections."""
    from airflow import settings
    from airflow.dag_processing import dagbag

    settings.Session.remove()
    settings.engine.dispose()
    for leftover in DATABASE.parent.glob(f"{DATABASE.name}*"):
        leftover.unlink()
    shutil.copy(migrated_database, DATABASE)
    # `dag.test()` parses and serializes a whole folder before each run; of the project's the database knows all.
    parse, serialize = dagbag.BundleDagBag, dagbag.sync_bag_to_db

    def parse_others(dag_folder: Path, **arguments: Any) -> Any:
        return None if Path(dag_folder) == REPOSITORY / "dags" else parse(dag_folder=dag_folder, **arguments)

    def serialize_others(bag: Any, *arguments: Any) -> None:
        if bag is not None:
            serialize(bag, *arguments)

    monkeypatch.setattr(dagbag, "BundleDagBag", parse_others)
    monkeypatch.setattr(dagbag, "sync_bag_to_db", serialize_others)


@pytest.fixture
def run_session(airflow_database: None) -> Callable[..., Any]:
    """Return `run_session(dag, key, conf=None) -> DagRun`: one partitioned run in this process, no scheduler.

    `dag.test()` itself knows no partition key. `key=None` is a run triggered without one. No consumer starts,
    pools are ignored.
    """
    from airflow.serialization.definitions.dag import SerializedDAG

    create_dagrun = SerializedDAG.create_dagrun

    def run(dag: Any, key: str | None, conf: dict[str, Any] | None = None) -> Any:
        def create(self: SerializedDAG, **arguments: Any) -> Any:
            if self.dag_id != dag.dag_id:  # triggered by the run
                return create_dagrun(self, **arguments)
            date = self.timetable.resolve_partition_date(key)
            return create_dagrun(self, **{**arguments, "partition_key": key, "partition_date": date})

        with patch.object(SerializedDAG, "create_dagrun", create):
            return dag.test(logical_date=None, run_conf=conf)

    return run


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    """Return the vendor, on loopback."""
    with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=UNIVERSE))) as simulator:
        yield simulator


@pytest.fixture
def lake_root(simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the DAGs at the simulator and at an empty lake, two tickers a batch, no retries."""
    simulator.faults.clear()
    simulator.requests.clear()
    connection = {
        "conn_type": "polygon",
        "host": simulator.url,
        "password": "simulator-test-key",
        "extra": {"environment": "simulated"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_POLYGON_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("BELLWETHER__LAKE__ROOT", str(tmp_path))
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(UNIVERSE))
    monkeypatch.setenv("BELLWETHER__INGEST__BATCH_TICKERS", "2")
    monkeypatch.setenv("BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S", "0")
    monkeypatch.setenv("BELLWETHER__RETRY_POLICY__DEFAULT__AIRFLOW_RETRIES", "0")
    return tmp_path


class ParsedAfresh(dict[str, Any]):
    """The project's DAGs by id, each parsed when it is asked for; a file has the name of its DAG."""

    def __missing__(self, dag_id: str) -> Any:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(str(REPOSITORY / "dags" / f"{dag_id}.py"))
        assert bag.import_errors == {}
        return self.setdefault(dag_id, bag.dags[dag_id])


@pytest.fixture
def dags() -> dict[str, Any]:
    """Return the project's DAGs by id, parsed afresh: `dag.test` leaves the run's parameters in the DAG."""
    return ParsedAfresh()


@pytest.fixture
def dag(lake_root: Path, dags: dict[str, Any]) -> Any:
    """Return the daily producer of equities."""
    return dags["equities_daily"]
