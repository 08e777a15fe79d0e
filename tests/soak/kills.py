"""Runs of the producer whose processes are killed at random instants, run again as Airflow's retries would, and judged.

A step is killed at an instant drawn evenly over the time it takes, or at a named point of its code, or meets a full
disk. Now and then a run is given up after a kill, as when all retries are used up, and the next run must heal that.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bellwether.faultpoints import FETCH_STEPS, PUBLISH_STEPS, VALIDATE_STEPS
from bellwether.ingest.plan import Batch
from bellwether.lake import Lake
from tests.soak import checks, steps
from tests.soak.checks import Found
from tests.soak.children import Child, Outcome, ask
from tests.soak.scene import SEEDS, UNIVERSE, Scene
from tests.soak.tally import Tally

STEPS = ("plan", "fetch", "validate", "publish", "ready", "announce")

_POINTS = {"fetch": FETCH_STEPS, "validate": VALIDATE_STEPS, "publish": PUBLISH_STEPS, "announce": (steps.ANNOUNCED,)}
_WRITE_TO_THE_LAKE = frozenset({"fetch", "validate", "publish"})
_DISTURBED_SHARE = 0.5  # of all tries
_AT_A_POINT_SHARE = 0.25  # of the disturbed tries of a step that has points
_FULL_DISK_SHARE = 0.05  # of the disturbed tries of a step that writes to the lake
_GIVEN_UP_SHARE = 0.03  # of the kills
_NAMED_TICKERS_SHARE = 0.4  # of the runs
_LONGEST_SHORT_FILE_BYTES = 20_000
_SAYS_WHAT_TO_DO = "LakeError: "


class _GivenUpError(Exception):
    """A run ended by a kill: nobody ran the step again."""


@dataclass(frozen=True)
class _Run:
    """One run of the producer, and what the partition may hold until it is over."""

    run_id: str
    session: date
    url: str
    tickers: Sequence[str]
    is_old_or_new: Callable[[Lake], Found]


class KillRounds:
    """Runs one after the other, over all sessions, each with the data of a random market.

    Parameters
    ----------
    scene
        Where to play.
    mixes
        The mix behind every revision, by session (`Scene.revisions`).
    tally
        Where to count.
    seed
        Equal seeds draw equal runs and instants; where exactly a kill hits is the machine's doing.
    """

    def __init__(self, scene: Scene, mixes: dict[date, dict[str, dict[str, int]]], tally: Tally, seed: int) -> None:
        self._scene = scene
        self._mixes = mixes
        self._tally = tally
        self._rng = random.Random(seed)
        self._run_numbers = count()
        self._lasted_s: dict[str, deque[float]] = {step: deque(maxlen=25) for step in STEPS}
        self._ended_with: dict[date, list[str]] = {session: [] for session in scene.sessions}
        self._heard = 0
        self._is_calm = True

    def play(self, wanted: int, is_time_up: Callable[[], bool], on_progress: Callable[[int], None]) -> None:
        """Measure the steps in one run, kill `wanted` processes, end with a calm run of every session, and judge."""
        sessions = self._scene.sessions
        self._run(sessions[0])
        self._is_calm = False
        while self._tally.kills.total() < wanted and not is_time_up():
            self._run(self._rng.choice(sessions))
            on_progress(self._tally.kills.total())
        self._is_calm = True
        for session in sessions:
            self._run(session)
        self._tally.judge(self._scene, "at the end", lambda lake: checks.orphans(lake, self._tally.stages))
        consumed = [msgspec.json.decode(line) for line in self._scene.consumed.read_bytes().splitlines()]
        for session, ended_with in self._ended_with.items():
            acted_upon = [revision for day, revision in consumed if day == session.isoformat()]
            self._tally.found += checks.triggers(ended_with, acted_upon)

    def _run(self, session: date) -> None:
        """Capture a session once: whole, or a few tickers by name; from a random market."""
        scene, tally, rng = self._scene, self._tally, self._rng
        number, kills_before = next(self._run_numbers), tally.kills.total()
        before = self._published(session)
        is_partial = before is not None and rng.random() < _NAMED_TICKERS_SHARE
        tickers = sorted(rng.sample(UNIVERSE, rng.randint(1, 3))) if is_partial else []
        market = rng.choice(SEEDS)
        after = {**(before or {}), **dict.fromkeys(tickers or UNIVERSE, market)}

        def is_old_or_new(lake: Lake) -> Found:
            old = None if before is None else scene.expected(session, before)
            return checks.partition(lake, session, [old, scene.expected(session, after)])

        tally.runs += 1
        run = _Run(f"run{number}", session, scene.urls[market], tickers, is_old_or_new)
        try:
            self._take_steps(run)
        except _GivenUpError:
            tally.given_up += 1
            return
        tally.healed += tally.kills.total() > kills_before
        tally.judge(
            scene,
            f"{run.run_id} {session}",
            lambda lake: checks.partition(lake, session, [scene.expected(session, after)]),
            lambda lake: checks.index(lake, session),
            checks.locks,
        )
        [revision] = [revision for revision, mix in self._mixes[session].items() if mix == after]
        self._ended_with[session].append(revision)
        self._heard = ask(lambda: steps.consume(scene, self._heard))

    def _published(self, session: date) -> dict[str, int] | None:
        revision = ask(lambda: steps.revision(self._scene.lake(), session))
        return self._mixes[session][revision] if revision else None

    def _take_steps(self, run: _Run) -> None:
        scene, session = self._scene, run.session
        planned = self._step("plan", run, lambda: steps.plan(scene.lake(), run.url, session, run.run_id, run.tickers))
        batches = msgspec.convert(planned, list[Batch])
        self._tally.stages.add(batches[0].stage_id)
        where = f"{run.run_id} {session} after its plan"
        self._tally.judge(scene, where, lambda lake: checks.orphans(lake, self._tally.stages))
        for batch in batches:
            self._step("fetch", run, lambda batch=batch: steps.fetch(scene.lake(), run.url, batch))
        self._step("validate", run, lambda: steps.validate(scene.lake(), batches))
        self._step("publish", run, lambda: steps.publish(scene.lake(), batches[0], run.run_id))
        if self._step("ready", run, lambda: steps.ready(scene.lake(), session)):
            self._step("announce", run, lambda: steps.announce(scene, session))

    def _step(self, name: str, run: _Run, work: Callable[[], Any]) -> Any:
        """Run a step until it succeeds, or the run is given up."""
        tally, where = self._tally, f"{run.run_id} {run.session} {name}"
        while True:
            is_short = name in _WRITE_TO_THE_LAKE and self._is_disturbed() and self._rng.random() < _FULL_DISK_SHARE
            if is_short:
                outcome = Child(work, self._rng.randrange(_LONGEST_SHORT_FILE_BYTES)).finish()
            else:
                outcome = self._try(name, run.session, work)
            if not (outcome.killed or outcome.error):
                self._lasted_s[name].append(outcome.seconds)
                return outcome.value
            if outcome.killed:
                tally.kills[name] += 1
            elif is_short and _SAYS_WHAT_TO_DO in outcome.error:
                tally.full_disks += 1
            else:
                tally.fail(where, outcome.error)
            tally.judge(self._scene, where, run.is_old_or_new)
            if outcome.killed and self._rng.random() < _GIVEN_UP_SHARE:
                raise _GivenUpError

    def _try(self, name: str, session: date, work: Callable[[], Any]) -> Outcome:
        if not self._is_disturbed():
            return Child(work).finish()
        if name in _POINTS and self._rng.random() < _AT_A_POINT_SHARE:
            return self._kill_at(self._rng.choice(_POINTS[name]), session, work)
        return Child(work).finish(kill_after_s=self._rng.random() * median(self._lasted_s[name]))

    def _kill_at(self, point: str, session: date, work: Callable[[], Any]) -> Outcome:
        fault: Path = self._scene.faults / f"{point}@{session}"
        fault.touch()
        outcome = Child(work).finish()
        fault.unlink(missing_ok=True)  # a publication that changes nothing does not come by most points
        self._tally.at_points[point] += outcome.killed
        return outcome

    def _is_disturbed(self) -> bool:
        return not self._is_calm and self._rng.random() < _DISTURBED_SHARE
