"""The second half of `make soak`: parts of a real Airflow go away under a stream, and nothing is lost or doubled.

One stream of a generated session at 20x: it outlives its tokens, the scheduler is killed, the api-server is away for
30 seconds and for 100. Then the session ends, its gaps are repaired, and every minute is compared. About ten minutes.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bellwether.airflow_api import ApiError, Run
from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.localstack import LocalStack
from bellwether.localstack.environment import project_root
from bellwether.localstack.processes import ProcessRecord, end_sessions, spawn
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from tests.e2e.support import prepare_home, wait_until
from tests.realtime import (
    REPAIR,
    STREAM,
    gaps_of,
    kill_recorder,
    listening,
    live_rows,
    pull_daily,
    recorder_pid,
    rows_of,
)

SESSION = date(2024, 7, 1)
TICKERS = ("AAPL", "MSFT", "QQQ", "SPY")
SPEED = 20.0
TOKEN_S = 60

_UNIVERSE = f"[{', '.join(TICKERS)}]"
_HOURS = get_calendar().hours(SESSION)
_console = Console(width=None if sys.stdout.isatty() else 100)


class Outages:
    """What is done to one stream, and what was seen.

    Attributes
    ----------
    seen
        Figure, value, and what it must be (empty where it is only told), in order.
    """

    def __init__(self, stack: LocalStack, simulator: RunningSimulator, run: Run) -> None:
        self.seen: list[tuple[str, str, str, bool]] = []
        self._stack = stack
        self._simulator = simulator
        self._run = run
        self._token_s = TOKEN_S

    def play(self) -> None:
        """Let one thing happen after the other."""
        self._wait_for_listener("the stream did not begin")
        self._outlive_tokens()
        # Airflow renews a token when a fifth of its life is left, or 30 s: what is to outlast an outage needs a long one.
        self._token_s = 600
        self._lose("api-server", away_s=0, name="api-server restarted, with tokens of 600 s", settled_s=60)
        # Its tasks are taken for orphans once it has not been heard of for 30 seconds.
        self._lose("scheduler", away_s=0, name="scheduler killed, started at once", settled_s=75)
        self._lose("api-server", away_s=30, name="api-server away for 30 s", must_be="the same try")
        self._lose("api-server", away_s=100, name="api-server away for 100 s")

    def note(self, figure: str, value: object, must_be: str = "", *, is_well: bool = True) -> None:
        """Keep a figure, and show it."""
        self.seen.append((figure, str(value), must_be, is_well))
        _console.print(f"{figure}: {value}", highlight=False)

    def _outlive_tokens(self) -> None:
        pid, began_s = recorder_pid(self._stack, self._run), time.monotonic()
        wait_until(lambda: time.monotonic() - began_s > 3 * TOKEN_S, "time stands still", timeout_s=4 * TOKEN_S)
        is_same = self._wait_for_listener("it outlived no token") == pid
        self.note(f"tokens of {TOKEN_S} s outlived by one try", 3, is_well=is_same)

    def _lose(self, component: str, *, away_s: float, name: str, must_be: str = "", settled_s: float = 15) -> None:
        """Kill a component, start it again after a while, and see who listens then."""
        before, gaps = recorder_pid(self._stack, self._run), len(self._gaps())
        record = next(each for each in reversed(self._stack.state.processes) if each.name == component)
        again = _kill(record, self._environment())
        gone_s = time.monotonic()
        wait_until(lambda: time.monotonic() - gone_s >= away_s, "time stands still", timeout_s=away_s + 5)
        self._stack._add(again())
        wait_until(self._is_healthy, f"the {component} did not come back", timeout_s=120)
        back_s = time.monotonic()
        # A task that is killed for an outage is killed after it, too: let Airflow come to its senses first.
        wait_until(lambda: time.monotonic() - back_s > settled_s, "time stands still", timeout_s=settled_s + 5)
        after = self._wait_for_listener(f"nobody listens after: {name}")
        listening_s = time.monotonic() - gone_s
        who = "the same try" if after == before else "another try"
        self.note(name, who, must_be, is_well=not must_be or who == must_be)
        self.note("  listening again, or still, after", f"{listening_s:.0f} s", f"< {away_s + settled_s + 150:.0f}")
        self.note("  gaps opened meanwhile", len(self._gaps()) - gaps)

    def _environment(self) -> dict[str, str]:
        """Return the environment that all components share, of one whose server does not write its title over it."""
        [pid] = [each.pid for each in self._stack.state.processes if each.name == "dag-processor"]
        pairs = (
            pair.decode().partition("=") for pair in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if pair
        )
        inherited = {name: value for name, _, value in pairs}
        return inherited | {"AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME": str(self._token_s)}

    def _wait_for_listener(self, otherwise: str) -> int:
        """Return the process that Airflow and the lease agree on, when it listens and has just said so."""
        found: list[int] = []

        def is_there() -> bool:
            lease = listening(self._stack, SESSION)
            try:
                pid = recorder_pid(self._stack, self._run)
            except ApiError:
                return False
            is_fresh = lease is not None and datetime.now(UTC) - lease.stamped_utc < timedelta(seconds=10)
            if is_fresh and pid is not None and lease is not None and lease.writer.endswith(f"~p{pid}"):
                found.append(pid)
            return bool(found)

        wait_until(is_there, otherwise, timeout_s=240)
        return found[-1]

    def _is_healthy(self) -> bool:
        try:
            health = self._stack.api.health()
        except ApiError:
            return False
        return {health.get(name) for name in ("metadatabase", "scheduler")} == {"healthy"}

    def _gaps(self) -> list[object]:
        return list(gaps_of(self._stack, "equities", SESSION))


def _kill(record: ProcessRecord, environment: dict[str, str]) -> Callable[[], ProcessRecord]:
    """Kill a component, of the scheduler not its workers; return what starts another such."""
    command = [str(Path(sys.executable).with_name("airflow")), record.name]
    if record.name == "api-server":  # whose children hold its port
        end_sessions([record], grace_s=0.0)
    else:
        command.append("--skip-serve-logs")
        os.kill(record.pid, signal.SIGKILL)
    return lambda: spawn(record.name, command, env=environment, cwd=project_root(), log=Path(record.log))


def main() -> int:
    """Play, print the figures, and return 1 when something is lost, doubled or not healed."""
    began_s = time.monotonic()
    market = GeneratedMarket(seed=5, tickers=list(TICKERS), start=SESSION, end=SESSION)
    begin = SimulatedClock(_HOURS.open + timedelta(minutes=10), speed=0)
    with (
        tempfile.TemporaryDirectory(prefix="bellwether-outages-") as folder,
        running(SimulatorConfig(market, clock=begin, plan=PLANS["realtime"])) as simulator,
    ):
        home = Path(folder)
        env = prepare_home(home) | {
            "AIRFLOW__CORE__PARALLELISM": "7",
            "AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME": str(TOKEN_S),
            "BELLWETHER__SOURCES__EQUITIES__UNIVERSE": _UNIVERSE,
        }
        with LocalStack(home, lake=home / "lake", polygon_url=simulator.url, env=env) as stack:
            outages = _play(stack, simulator, market)
    _show(outages, time.monotonic() - began_s)
    return 0 if all(is_well for *_, is_well in outages.seen) else 1


def _play(stack: LocalStack, simulator: RunningSimulator, market: GeneratedMarket) -> Outages:
    stack.api.wait_for_dags([STREAM, REPAIR])
    for dag_id in (STREAM, REPAIR):
        stack.api.set_paused(dag_id, paused=False)
    simulator.feed.follow(SimulatedClock(_HOURS.open + timedelta(minutes=10), SPEED))
    streamed, repaired = (stack.api.trigger(dag_id, str(SESSION)) for dag_id in (STREAM, REPAIR))
    outages = Outages(stack, simulator, streamed)
    outages.play()
    # Nobody records until the session is nearly over.
    for dataset in ("equities", "indices"):
        kill_recorder(stack, streamed, dataset)
    simulator.feed.follow(SimulatedClock(_HOURS.post_close + timedelta(minutes=10), SPEED))
    pull_daily(stack, simulator, SESSION, _UNIVERSE)
    for run in (streamed, repaired):
        state = stack.api.wait_for_run(run.dag_id, run.dag_run_id, timeout_s=400).state
        outages.note(f"{run.dag_id} ends", state, "success", is_well=state == "success")
    expected = rows_of("equities", [(ticker, market.bars(ticker, SESSION)) for ticker in TICKERS])
    found = live_rows(stack, "equities", SESSION)
    keys = [(row["ticker"], row["ts"]) for row in found]
    lost = sum(row not in found for row in expected)
    doubled = len(keys) - len(set(keys))
    open_gaps = sum(gap.closed_utc is None for gap in gaps_of(stack, "equities", SESSION))
    outages.note("minutes of the market", len(expected))
    outages.note("lost or wrong", lost, "0", is_well=not lost)
    outages.note("doubled", doubled, "0", is_well=not doubled)
    outages.note("gaps left open", open_gaps, "0", is_well=not open_gaps)
    return outages


def _show(outages: Outages, seconds: float) -> None:
    table = Table("figure", "seen", "must be", title="A stream while parts of Airflow are away")
    for figure, value, must_be, is_well in outages.seen:
        table.add_row(figure, value, must_be, style="" if is_well else "red")
    table.add_row("seconds", f"{seconds:.0f}", "")
    _console.print(table)


if __name__ == "__main__":
    sys.exit(main())
