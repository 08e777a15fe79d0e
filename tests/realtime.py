"""What the tests of `session_stream` on a real Airflow share: who records, how it is killed, what must come of it."""

import os
import signal
from collections.abc import Sequence
from datetime import date, datetime

import pyarrow as pa
import pytest

from bellwether.airflow_api import Run
from bellwether.cli.main import main
from bellwether.lake import Lake, read
from bellwether.localstack import LocalStack
from bellwether.simulator.bars import Bars
from bellwether.simulator.server import RunningSimulator
from bellwether.streaming.gaps import Gap, GapLog
from bellwether.streaming.lease import LeaseRecord, read_lease
from tests.e2e.support import wait_until

STREAM, REPAIR = "session_stream", "gap_repair"
COLUMNS = ("ticker", "ts", "open", "high", "low", "close", "volume", "vwap")
_OF_INDICES = COLUMNS[:6]


def lake_of(stack: LocalStack) -> Lake:
    """Return the stack's lake, made where nothing is published yet."""
    return Lake.open(stack.home / "lake", simulated=True)


def wait_for_clock(simulator: RunningSimulator, moment: datetime, timeout_s: float = 120.0) -> None:
    """Wait until the feed's clock, which runs, says so."""
    wait_until(lambda: simulator.feed.now() >= moment, f"the feed's clock did not reach {moment}", timeout_s)


def recorder_pid(stack: LocalStack, run: Run, dataset: str = "equities") -> int | None:
    """Return the process that Airflow says records a dataset."""
    tasks = stack.api.task_instances(STREAM, run.dag_run_id)
    [task] = [each for each in tasks if each.task_id == f"{dataset}.stream"]
    return task.pid


def listening(stack: LocalStack, session: date, dataset: str = "equities") -> LeaseRecord | None:
    """Return the lease of a recorder that listens now; None where none does."""
    lease = read_lease(lake_of(stack), dataset, session)
    if lease is None or lease.is_released or lease.heartbeat is None or lease.heartbeat.state != "listening":
        return None
    return lease


def kill_recorder(stack: LocalStack, run: Run, dataset: str = "equities") -> None:
    """Kill the process that records a dataset, as the kernel does, once it has written something and no gap lasts."""
    session = date.fromisoformat(str(run.partition_key))

    def listens() -> bool:
        lease = listening(stack, session, dataset)
        if lease is None or lease.heartbeat is None or not lease.heartbeat.rows:
            return False
        if any(gap.lasts for gap in gaps_of(stack, dataset, session)):
            return False
        return lease.writer.endswith(f"~p{recorder_pid(stack, run, dataset)}")

    wait_until(listens, f"nobody records {dataset}")
    pid = recorder_pid(stack, run, dataset)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def wait_for_success(stack: LocalStack, run: Run, timeout_s: float = 180.0) -> None:
    """Wait until a run is over; where it failed, show how its tasks are and what those that failed said last."""
    ended = stack.api.wait_for_run(run.dag_id, run.dag_run_id, timeout_s=timeout_s)
    if ended.state == "success":
        return
    tasks = stack.api.task_instances(run.dag_id, run.dag_run_id)
    logs = [
        stack.api.log(run.dag_id, run.dag_run_id, each.task_id, each.map_index, each.try_number)[-3000:]
        for each in tasks
        if each.state == "failed"
    ]
    raise AssertionError("\n".join([str({each.task_id: each.state for each in tasks}), *logs]))


def pull_daily(stack: LocalStack, simulator: RunningSimulator, session: date, universe: str) -> None:
    """Publish what the streams are compared with, of a universe as the environment has it."""
    arguments = ["--start", str(session), "--end", str(session), "--lake", lake_of(stack).root, "--url", simulator.url]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", universe)
        for dataset in ("equities", "indices"):
            assert main(["backfill", dataset, *arguments]) == 0


def gaps_of(stack: LocalStack, dataset: str, session: date) -> list[Gap]:
    """Return the gaps of a session."""
    return GapLog(lake_of(stack), dataset, session, "reader").read()


def live_rows(stack: LocalStack, dataset: str, session: date) -> list[dict[str, object]]:
    """Return what was published of a stream."""
    table = read(f"{dataset}_live", session, session, root=lake_of(stack).root)
    return table.select([name for name in COLUMNS if name in table.column_names]).to_pylist()


def rows_of(dataset: str, bars: Sequence[tuple[str, Bars]]) -> list[dict[str, object]]:
    """Return a market's bars by ticker as such rows."""
    names = _OF_INDICES if dataset == "indices" else COLUMNS
    found: list[dict[str, object]] = []
    for ticker, own in bars:
        values = own._asdict()
        columns = {name: pa.array(values[name], from_pandas=True) for name in names[2:]}
        ts = pa.array(own.start_ms).cast(pa.timestamp("ms", "UTC"))
        found += [{"ticker": ticker, **row} for row in pa.table({"ts": ts, **columns}).to_pylist()]
    return found
