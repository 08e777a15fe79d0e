"""Two publishers of one session at the same moment: a run of Airflow's and `bellwether backfill`.

Each fetches tickers of its own, from markets of their own; at the step of publishing they wait for each other.
"""

import multiprocessing
import random
from collections.abc import Callable, Sequence
from datetime import date
from multiprocessing.synchronize import Barrier
from typing import Any
from unittest.mock import patch

import msgspec

from bellwether.cli import backfill
from bellwether.cli.main import main
from bellwether.ingest.plan import Batch
from tests.soak import checks, steps
from tests.soak.children import Child, ask
from tests.soak.scene import DATASET, SEEDS, UNIVERSE, Scene
from tests.soak.tally import Tally

_PATIENCE_S = 30.0


class PublisherRounds:
    """Rounds over all sessions; each must already be published.

    Parameters
    ----------
    scene
        Where to play.
    mixes
        The mix behind every revision, by session (`Scene.revisions`).
    tally
        Where to count.
    seed
        Equal seeds draw equal rounds.
    """

    def __init__(self, scene: Scene, mixes: dict[date, dict[str, dict[str, int]]], tally: Tally, seed: int) -> None:
        self._scene = scene
        self._mixes = mixes
        self._tally = tally
        self._rng = random.Random(seed)

    def play(self, wanted: int, is_time_up: Callable[[], bool], on_progress: Callable[[int], None]) -> None:
        """Play `wanted` rounds."""
        while self._tally.rounds < wanted and not is_time_up():
            self._round(self._rng.choice(self._scene.sessions))
            self._tally.rounds += 1
            on_progress(self._tally.rounds)

    def _round(self, session: date) -> None:
        scene, number = self._scene, self._tally.rounds
        revision, kept_before = ask(lambda: steps.history(scene.lake(), session))
        before = self._mixes[session][revision]
        shuffled = self._rng.sample(UNIVERSE, len(UNIVERSE))
        split = self._rng.randint(1, len(UNIVERSE) - 1)
        ours, theirs = sorted(shuffled[:split]), sorted(shuffled[split:])
        our_market, their_market = self._rng.choice(SEEDS), self._rng.choice(SEEDS)
        barrier = multiprocessing.get_context("fork").Barrier(2)
        publishers = (
            Child(lambda: _airflow(scene, barrier, session, f"dag{number}", scene.urls[our_market], ours)),
            Child(lambda: _command_line(scene, barrier, session, scene.urls[their_market], theirs)),
        )
        outcomes = [publisher.finish() for publisher in publishers]
        for outcome in outcomes:
            if outcome.error:
                self._tally.fail(f"round {number} {session}", outcome.error)
        after = before | dict.fromkeys(ours, our_market) | dict.fromkeys(theirs, their_market)
        changed, stages = zip(*(outcome.value or (False, "") for outcome in outcomes), strict=True)
        self._tally.stages.update(stages)
        self._tally.judge(
            scene,
            f"round {number} {session}",
            lambda lake: checks.partition(lake, session, [scene.expected(session, after)]),
            lambda lake: checks.index(lake, session),
            checks.locks,
            lambda lake: checks.kept(lake, session, kept_before + sum(changed)),
            lambda lake: checks.orphans(lake, self._tally.stages),
        )


def _airflow(
    scene: Scene, barrier: Barrier, session: date, run_id: str, url: str, tickers: Sequence[str]
) -> tuple[bool, str]:
    """Take the steps of a DAG run; return whether the partition was changed, and the stage that stays."""
    lake = scene.lake()
    batches = msgspec.convert(steps.plan(lake, url, session, run_id, tickers), list[Batch])
    for batch in batches:
        steps.fetch(lake, url, batch)
    steps.validate(lake, batches)
    barrier.wait(_PATIENCE_S)
    return steps.publish(lake, batches[0], run_id), batches[0].stage_id


def _command_line(scene: Scene, barrier: Barrier, session: date, url: str, tickers: Sequence[str]) -> tuple[bool, str]:
    """Run the command; return whether the partition was changed; no stage may stay."""
    changed: list[bool] = []

    def together(*args: Any, **kwargs: Any) -> Any:
        barrier.wait(_PATIENCE_S)
        publication = publish_stage(*args, **kwargs)
        changed.append(publication.changed)
        return publication

    publish_stage = backfill.publish_stage
    with patch.object(backfill, "publish_stage", together):
        code = main(command(scene.root, session, session, url, "--tickers", ",".join(tickers), "--force"))
    if code:
        msg = f"bellwether backfill ended with {code}"
        raise RuntimeError(msg)
    return changed == [True], ""


def command(lake: object, start: date, end: date, url: str, *options: str) -> list[str]:
    """Return the arguments of `bellwether` that capture sessions."""
    return ["backfill", DATASET, "--start", str(start), "--end", str(end), "--lake", str(lake), "--url", url, *options]
