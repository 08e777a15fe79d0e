"""What tasks tell of themselves when Airflow runs them: rows, errors, metrics, and never a failure of their own."""

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bellwether.lake import Lake, read
from bellwether.lake.local import LocalStorage
from bellwether.monitoring.performance import known_tries
from bellwether.monitoring.tries import TryRecord
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator
from bellwether_airflow import measuring
from tests.dags.support import KEY, SESSION, UNIVERSE, states
from tests.tries import met, tried

Run = Callable[..., Any]


class UdpStatsd:
    """The part of a StatsD client that Airflow calls: a datagram for each figure."""

    def __init__(self, host: str, port: int, prefix: str, _ipv6: bool = False) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._address, self._prefix = (host, port), prefix

    def incr(self, stat: str, count: int = 1, rate: float = 1) -> None:
        self._send(f"{stat}:{count}|c")

    def gauge(self, stat: str, value: float, rate: float = 1, delta: bool = False) -> None:
        self._send(f"{stat}:{value}|g")

    def timing(self, stat: str, delta: float) -> None:
        self._send(f"{stat}:{delta:f}|ms")

    def _send(self, line: str) -> None:
        self._socket.sendto(f"{self._prefix}.{line}".encode(), self._address)


@pytest.fixture
def sink() -> Iterator[Callable[[], list[str]]]:
    """Have Airflow's metrics sent to a StatsD sink on loopback; return what reads all that came."""
    from airflow.sdk._shared.observability.metrics import stats
    from airflow.sdk._shared.observability.metrics.statsd_logger import get_statsd_logger

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        host, port = server.getsockname()
        stats.initialize(
            factory=lambda: get_statsd_logger(
                stats_class=UdpStatsd,
                host=host,
                port=port,
                prefix="airflow",
                influxdb_tags_enabled=True,
                statsd_influxdb_enabled=True,
            ),
            export_legacy_names=False,
        )

        def read_all() -> list[str]:
            lines = []
            server.setblocking(False)
            try:
                while True:
                    lines.append(server.recv(65536).decode())
            except BlockingIOError:
                return lines

        yield read_all
        stats.initialize(factory=stats.NoStatsLogger, export_legacy_names=False)


def told(lake_root: Path) -> dict[str, TryRecord]:
    """Return what was told of the session, by task."""
    return {
        each.identity.task_id + (f"[{each.identity.map_index}]" if each.identity.map_index >= 0 else ""): each
        for each in known_tries(Lake.open(lake_root), SESSION)
    }


def test_a_run_tells_of_every_task_that_opens_the_lake_and_the_look_back_of_the_run(
    dag: Any, dags: dict[str, Any], run_session: Run, lake_root: Path, sink: Callable[[], list[str]]
) -> None:
    run = run_session(dag, KEY)
    found = told(lake_root)
    assert set(found) == {*states(run)} - {"announce"}
    assert {each.state for each in found.values()} == {"success"}
    rows = sum(found[name].rows for name in ("ingest[0]", "ingest[1]"))
    manifest = Lake.open(lake_root).manifest("equities", SESSION)
    assert manifest is not None
    assert rows == found["publish"].rows == manifest.rows
    assert sum(each.api_calls for each in found.values()) == manifest.api_calls == len(UNIVERSE)
    for name in ("ingest[0]", "ingest[1]"):
        each = found[name]
        assert each.identity.run_id == run.run_id
        assert each.identity.dataset == "equities"
        assert 0 < each.vendor_s + each.write_s + each.read_s < each.duration_s
        assert min(each.vendor_s, each.write_s, each.bytes_received, each.bytes_written) > 0
    assert found["publish"].vendor_s == 0
    _check_metrics(sink())
    run = run_session(dags["ops_health"], KEY, {"sessions": 2})
    assert (run.state, states(run)["performance"]) == ("success", "success")
    rows = read("performance", KEY, KEY, root=lake_root).to_pylist()
    assert {row["task_id"] for row in rows if row["dag_id"] == "equities_daily"} == {
        each.identity.task_id for each in found.values()
    }
    [look] = [ti for ti in run.get_task_instances() if ti.task_id == "look"]
    summary = look.xcom_pull(task_ids="look", key="summary")
    assert f"#### Performance of {KEY}" in summary
    assert "| equities | 7 |" in summary
    assert any(line.startswith("airflow.bellwether.health.problems:") for line in sink())


def _check_metrics(sent: list[str]) -> None:
    lines = [line for line in sent if line.startswith("airflow.bellwether.")]
    tags = ",dag_id=equities_daily,task_id=ingest,dataset=equities"
    assert f"airflow.bellwether.task.api_calls{tags}:2|c" in lines
    assert {line.rpartition(":")[0] for line in lines if "task_id=ingest" in line} == {
        f"airflow.bellwether.task.duration{tags},state=success",
        *(f"airflow.bellwether.task.{name}{tags}" for name in ("vendor", "read", "write", "limit_wait")),
        *(f"airflow.bellwether.task.{name}{tags}" for name in ("api_calls", "rows", "bytes_received", "bytes_written")),
    }


def test_what_requests_and_tasks_failed_of_is_told_by_class(
    dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    simulator.faults.add(Fault(kind="server_error", ticker="SPY", count=None))
    assert run_session(dag, KEY).state == "failed"
    found = told(lake_root)
    failed = found["ingest[1]"]
    assert (failed.state, failed.error) == ("failed", "ServerError")
    assert failed.errors["ServerError"].count == failed.api_calls - 1 > 1
    assert {name for name, each in found.items() if each.errors} == {"ingest[1]"}
    assert (found["report"].state, found["report"].error) == ("failed", "AirflowFailException")


def test_names_and_tags_are_ones_opentelemetry_takes() -> None:
    from airflow.sdk._shared.observability.metrics import stats
    from airflow.sdk._shared.observability.metrics.otel_logger import SafeOtelLogger
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    stats.initialize(factory=lambda: SafeOtelLogger(provider, prefix="airflow"), export_legacy_names=False)
    try:
        measuring._emit(tried(rows=3, errors={"ServerError": met(1, 2)}))
        measuring.gauge_problems(Counter({("equities", "error burst"): 2}))
    finally:
        stats.initialize(factory=stats.NoStatsLogger, export_legacy_names=False)
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        metric.name: dict(metric.data.data_points[0].attributes)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert found["airflow.bellwether.task.errors"] == {
        "dag_id": "equities_daily",
        "task_id": "ingest",
        "dataset": "equities",
        "error": "ServerError",
        "cause": "vendor",
    }
    assert found["airflow.bellwether.health.problems_of"] == {"dataset": "equities", "state": "error_burst"}
    assert {"airflow.bellwether.task.duration", "airflow.bellwether.task.rows"} <= set(found)


def test_what_cannot_be_kept_fails_no_task(
    dag: Any, run_session: Run, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = LocalStorage.write

    def refuse(self: LocalStorage, key: Any, content: bytes) -> None:
        if key.parts[0] == "performance":
            raise RuntimeError
        write(self, key, content)

    monkeypatch.setattr(LocalStorage, "write", refuse)
    assert run_session(dag, KEY).state == "success"
    assert told(lake_root) == {}
