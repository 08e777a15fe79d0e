"""`make soak`: kill the pipeline's processes and recorders at random, let publishers race, count what is broken.

Bounded in kills, rounds and minutes; ends with 1 when an invariant is broken or the time was too short.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

# What tasks import late is imported here once: a child then starts within milliseconds, as forks of a scheduler do.
import great_expectations  # noqa: F401
import msgspec
import polygon  # noqa: F401
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from bellwether.cli.main import main as bellwether
from tests.soak import checks
from tests.soak.children import Child, ask
from tests.soak.kills import STEPS, KillRounds
from tests.soak.publishers import PublisherRounds, command
from tests.soak.reader import read_until
from tests.soak.recorders import RecorderRounds
from tests.soak.scene import Scene, set_up
from tests.soak.tally import BrokenError, Tally


def main(arguments: list[str]) -> int:
    """Play, print the figures, and return 1 when something is broken."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="SIGKILLs (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=500, help="rounds of two publishers (default %(default)s)")
    parser.add_argument("--recorder-kills", type=int, default=50, help="recorders ended (default %(default)s)")
    parser.add_argument("--sessions", type=int, default=4, help="sessions played with (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=20.0, help="begin nothing after that (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args(arguments)
    started_s = time.monotonic()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="bellwether-soak-") as folder, set_up(Path(folder), args.sessions) as scene:
        _play(scene, tally, args, started_s + 60 * args.minutes)
    seconds = time.monotonic() - started_s
    is_whole = tally.kills.total() >= args.kills and tally.rounds >= args.rounds
    is_whole &= tally.recorder_kills.total() >= args.recorder_kills
    if args.json:
        sys.stdout.write(msgspec.json.encode({**vars(tally), "seconds": round(seconds, 1)}).decode() + "\n")
    else:
        _show(tally, args, seconds)
    return 0 if is_whole and not tally.found.total() else 1


def _play(scene: Scene, tally: Tally, args: argparse.Namespace, until_s: float) -> None:
    def is_time_up() -> bool:
        return time.monotonic() > until_s

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Drawn when something is over and not by a thread: this process forks.
    with suppress(BrokenError), Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        on_progress = partial(_draw, bar, bar.add_task("recorders", total=args.recorder_kills))
        RecorderRounds(scene, tally, args.seed).play(args.recorder_kills, is_time_up, on_progress)
        if not (args.kills or args.rounds):
            return
        mixes = _capture_undisturbed(scene)
        with _reading(scene, mixes, tally):
            for kind, name, wanted in ((KillRounds, "kills", args.kills), (PublisherRounds, "publishers", args.rounds)):
                on_progress = partial(_draw, bar, bar.add_task(name, total=wanted))
                kind(scene, mixes, tally, args.seed).play(wanted, is_time_up, on_progress)


def _capture_undisturbed(scene: Scene) -> dict:
    """Return the mix behind every revision that kills may leave, by session."""
    first, last = scene.sessions[0], scene.sessions[-1]
    for seed, url in scene.urls.items():
        if ask(lambda seed=seed, url=url: bellwether(command(scene.undisturbed(seed), first, last, url))):
            msg = "the undisturbed capture failed"
            raise RuntimeError(msg)
    return {session: ask(lambda session=session: scene.revisions(session)) for session in scene.sessions}


def _draw(bar: Progress, task: TaskID, done: int) -> None:
    bar.update(task, completed=done, refresh=True)


@contextmanager
def _reading(scene: Scene, mixes: dict, tally: Tally) -> Iterator[None]:
    stop = multiprocessing.get_context("fork").Event()
    reader = Child(lambda: read_until(stop, scene, mixes))
    try:
        yield
    finally:
        stop.set()
        outcome = reader.finish()
    if outcome.value is None:
        tally.fail("reader", outcome.error or "the reader died")
    tally.reads += Counter(outcome.value["reads"])
    tally.found += Counter(outcome.value["wrong"])
    tally.errors += outcome.value["words"]


def _show(tally: Tally, args: argparse.Namespace, seconds: float) -> None:
    table = Table("figure", "counted", "must be", title=f"make soak, seed {args.seed}")
    for step in STEPS:
        table.add_row(f"kills in {step}", str(tally.kills[step]), "")
    table.add_row("kills", str(tally.kills.total()), f">= {args.kills}")
    table.add_row("of these at named points", str(tally.at_points.total()), "")
    table.add_row("full disks", str(tally.full_disks), "")
    table.add_row("runs", str(tally.runs), "")
    table.add_row("runs healed after kills", str(tally.healed), "")
    table.add_row("runs given up", str(tally.given_up), "")
    table.add_row("rounds of two publishers", str(tally.rounds), f">= {args.rounds}")
    for signal_name, ended in tally.recorder_kills.items():
        table.add_row(f"recorders ended by {signal_name}", str(ended), "")
    table.add_row("recorders ended", str(tally.recorder_kills.total()), f">= {args.recorder_kills}")
    for where, broadcasts in tally.heard.items():
        table.add_row(f"broadcasts {where}", str(broadcasts), "")
    table.add_row("gaps", str(tally.gaps.total()), "")
    for reader, reads in tally.reads.items():
        table.add_row(f"reads by {reader}", str(reads), "")
    for violation in checks.VIOLATIONS:
        table.add_row(violation, str(tally.found[violation]), "0", style="red" if tally.found[violation] else "")
    table.add_row("seconds", f"{seconds:.0f}", f"<= {60 * args.minutes:.0f}")
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    for error in tally.errors[:10]:
        console.print(error, style="red", highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
