"""A drill under way: one thing is broken after another, and each is waited for until all is well again.

The recorder is started again as Airflow's next try would be.
"""

import resource
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from bellwether.calendar import SessionHours
from bellwether.config import Config
from bellwether.drill.children import Child, RecorderPart
from bellwether.drill.faults import WRONG_KEY, Act, Drilled, chosen
from bellwether.drill.judge import judge
from bellwether.drill.report import Outcome, Report, Sent
from bellwether.drill.request import DATASET, KEY, TICKERS, Request
from bellwether.drill.vendor import Vendor
from bellwether.errors import DrillFailed
from bellwether.lake import Lake
from bellwether.monitoring.alerts import Delivery, FailedRun, Message, compose, compose_stall, in_drill
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Batches
from bellwether.streaming.feedtime import to_ms
from bellwether.streaming.gaps import Gap, GapLog

_POLL_S = 0.05
PATIENCE_S = 20.0
"""Of this machine, beyond what something takes."""
_LOG_LINES = 20


class Stage:
    """A drill under way."""

    def __init__(
        self,
        request: Request,
        config: Config,
        folder: Path,
        hours: SessionHours,
        tell: Callable[[Message], Delivery],
        url: str,
    ) -> None:
        self._request, self._config, self._tell, self._url = request, config, tell, url
        self._lake = Lake.open(folder / "lake", simulated=True)
        self._log = GapLog(self._lake, DATASET, request.session, "drill")
        self._assignment = Assignment(
            dataset=DATASET, session=request.session, start=hours.open, until=hours.post_close
        )
        self._recorder: Child | None = None
        self._attempt = 0
        self._sent: list[Sent] = []

    def close(self) -> None:
        """End the recorder."""
        if self._recorder is not None:
            self._recorder.close()

    def play(self, url: str, on_step: Callable[[str], object]) -> Report:
        """Play all faults, and judge."""
        began_s = time.monotonic()
        self._vendor = Vendor(url)
        start, speed = self._assignment.start, self._request.speed
        on_step("a recorder is started")
        self._begin(KEY)
        if not self._wait(lambda: self._hears_since(start), PATIENCE_S):
            msg = f"the recorder did not start: {' '.join(self._lines()[-3:])}"
            raise DrillFailed(msg)
        outcomes: list[Outcome] = []
        faults = chosen(self._request.faults)
        for name, fault in faults.items():
            if self._vendor.now() + fault.takes(speed) > self._assignment.until:
                break
            on_step(f"{name}: {fault.what}")
            outcomes.append(self._play(name, fault))
            if outcomes[-1].recovered is None:
                break
        end = start + timedelta(minutes=self._request.minutes)
        left_s = max(0.0, (end - self._vendor.now()).total_seconds()) / speed
        self._wait(lambda: self._vendor.now() >= end, left_s + PATIENCE_S)
        on_step("gaps are repaired, and everything is compared")
        self._end(signal.SIGTERM)
        heard = replace(self._assignment, until=self._vendor.now())
        return Report(
            session=self._request.session,
            speed=speed,
            start=start,
            until=heard.until,
            outcomes=outcomes,
            judged=judge(self._lake, self._config, heard, self._vendor, outcomes),
            unplayed=list(faults)[len(outcomes) :],
            real_s=time.monotonic() - began_s,
            log=self._lines()[-_LOG_LINES:],
        )

    # --- one fault

    def _play(self, name: str, fault: Drilled) -> Outcome:
        outcome = Outcome(name, fault, began=self._vendor.now())
        before, told, began_s = {gap.gap_id for gap in self._gaps()}, len(self._sent), time.monotonic()
        speed, stalled_after_s = self._request.speed, 60 * self._config.settings.streaming.stalled_after_min
        patience_s = (fault.takes(speed).total_seconds() + stalled_after_s) / speed + PATIENCE_S
        self._bring_about(fault, outcome, patience_s)
        struck = self._vendor.now()

        def is_well() -> bool:
            causes = {gap.cause for gap in self._gaps() if gap.gap_id not in before}
            return (not fault.causes or bool(fault.causes & causes)) and self._hears_since(struck)

        if self._wait(is_well, patience_s):
            outcome.recovered = self._vendor.now()
        outcome.real_s = time.monotonic() - began_s
        outcome.causes = tuple(gap.cause for gap in self._gaps() if gap.gap_id not in before)
        outcome.sent = self._sent[told:]
        return outcome

    def _bring_about(self, fault: Drilled, outcome: Outcome, patience_s: float) -> None:
        """Bring a fault about, and end it where it would last."""
        told = len(self._sent)
        self._begin_fault(fault, patience_s)
        if fault.alert:
            self._wait(lambda: len(self._sent) > told, patience_s)
        if fault.act is Act.FILL_DISK:
            self._let_files_grow(resource.RLIM_INFINITY)
        self._vendor.disarm()
        if fault.is_fatal:
            self._wait(lambda: not self._is_alive, patience_s)
            outcome.connections = self._vendor.connections(WRONG_KEY) if fault.act is Act.WRONG_KEY else None
            self._begin(KEY)

    def _begin_fault(self, fault: Drilled, patience_s: float) -> None:
        before = self._vendor.struck()
        self._vendor.arm(fault.switches)
        match fault.act:
            case Act.SWITCH:
                self._wait(lambda: self._has_struck(fault.switches[-1].kind, before), patience_s)
            case Act.FILL_DISK:
                self._let_files_grow(0)
            case Act.KILL:
                self._end(signal.SIGKILL)
            case Act.STOP:
                self._end(signal.SIGTERM)
            case Act.WRONG_KEY:
                self._end(signal.SIGTERM)
                self._begin(WRONG_KEY)

    def _has_struck(self, kind: str, before: Sequence[str | None]) -> bool:
        return any(
            fault == kind and (number >= len(before) or before[number] != kind)
            for number, fault in enumerate(self._vendor.struck())
        )

    def _let_files_grow(self, most_bytes: int) -> None:
        if self._recorder is not None and self._is_alive:
            limits = (most_bytes, resource.RLIM_INFINITY)
            resource.prlimit(self._recorder.pid, resource.RLIMIT_FSIZE, limits)  # of Linux alone, hence not by name

    # --- the recorder

    @property
    def _is_alive(self) -> bool:
        return self._recorder is not None and self._recorder.is_alive

    def _begin(self, key: str) -> None:
        self.close()
        self._attempt += 1
        self._recorder = Child(
            RecorderPart(
                url=self._vendor.url,
                key=key,
                root=self._lake.root,
                session=self._request.session,
                tickers=TICKERS,
                start=self._assignment.start,
                until=self._assignment.until,
                attempt=self._attempt,
            )
        )

    def _end(self, signum: signal.Signals) -> None:
        if self._recorder is not None:
            self._recorder.signal(signum)
            self._hear()

    def _wait(self, met: Callable[[], bool], patience_s: float) -> bool:
        """Wait until something is so, passing on to people what the recorder tells; return whether it is."""
        until_s = time.monotonic() + patience_s
        while True:
            self._hear()
            if met():
                return True
            if time.monotonic() >= until_s:
                return False
            time.sleep(_POLL_S)

    def _hear(self) -> None:
        for said in self._recorder.heard() if self._recorder is not None else ():
            if said.what == "stalled" and said.covered_utc is not None:
                minutes = self._config.settings.streaming.stalled_after_min
                self._send(compose_stall(DATASET, self._request.session, said.words, said.covered_utc, minutes))
            elif said.what == "failed":
                task, subject = {f"{DATASET}.stream": said.words}, f"stream {self._request.session}"
                self._send(compose(FailedRun(subject, "task_failure", task, None, self._url)))

    def _send(self, message: Message) -> None:
        delivery = self._tell(in_drill(message))
        self._sent.append(Sent(message.subject, message.causes, delivery.words, delivery.is_lost))

    def _lines(self) -> list[str]:
        return self._recorder.log if self._recorder is not None else []

    # --- what stands in the lake

    def _gaps(self) -> list[Gap]:
        return self._log.read()

    def _hears_since(self, moment: datetime) -> bool:
        """Return whether something broadcast after a moment is on disk, and no gap lasts."""
        position = Batches(self._lake, DATASET, self._request.session).position()
        is_on_disk = position is not None and position.covered_ms > to_ms(moment)
        return is_on_disk and self._is_alive and not any(gap.lasts for gap in self._gaps())
