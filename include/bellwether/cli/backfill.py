"""`bellwether backfill`: the daily capture of one dataset, or of all, over a range of sessions, without Airflow.

Each session's batches are staged as they come, so an interrupted backfill resumes at the first
unfinished batch; sessions the ledger calls complete cost nothing.
"""

import argparse
import hashlib
import json
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bellwether.cli.options import (
    VendorAccess,
    add_lake,
    add_range,
    lake_location,
    sessions_between,
    tickers,
    vendor_access,
)
from bellwether.config import Config
from bellwether.due import UNTIL
from bellwether.errors import BellwetherError, ConfigError, SnapshotMissed, Stopped, VendorError
from bellwether.ingest.discovery import discover_and_plan
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import failed_tickers, forgivable, publish_stage, validate_stage
from bellwether.ingest.plan import Batch
from bellwether.ingest.sources import CAPTURED
from bellwether.lake import Lake, paths
from bellwether.lake.stage import Stage
from bellwether.monitoring.workers import Registration
from bellwether.sources.limits import requests_per_minute
from bellwether.sources.rest import PolygonRest

_RUN_ID = "bellwether backfill"
# No run of Airflow's has a stage that begins like this: there, ~ becomes a dash.
_STAGE_PREFIX = "cli~"
_PLAN = "plan.json"
_ALL = "all"
# An unfinished stage older than this is fetched anew: the vendor may have corrected its bars since.
_RESUME_WITHIN = timedelta(hours=12)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("dataset", choices=(*CAPTURED, _ALL))
    add_range(parser)
    add_lake(parser)
    parser.add_argument(
        "--tickers", type=tickers, default=[], metavar="A,B", help="only these of one dataset; default the universe"
    )
    parser.add_argument("--rate-limit", type=int, metavar="N", help="at most N requests a minute; default the plan's")
    parser.add_argument("--url", metavar="URL", help="a simulator, e.g. http://127.0.0.1:8765")
    parser.add_argument("--force", action="store_true", help="fetch again what the ledger calls complete")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when every session is complete, 1 when a required ticker failed."""
    if args.dataset == _ALL and args.tickers:
        msg = "--tickers narrows one dataset; name it instead of `all`"
        raise ConfigError(msg)
    access = vendor_access(args.url)
    if args.rate_limit is not None:
        access = replace(access, requests_per_minute=requests_per_minute(args.rate_limit, "--rate-limit"))
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options, simulated=access.simulated)
    # What only the present shows cannot be backfilled.
    every = tuple(dataset for dataset in CAPTURED if dataset not in UNTIL)
    datasets = every if args.dataset == _ALL else (args.dataset,)
    # By session, so that each is whole before the next begins.
    jobs = sorted(
        (session, number, dataset)
        for number, dataset in enumerate(datasets)
        for session in sessions_between(lake, dataset, args.start, args.end)
    )
    console = Console(stderr=True)
    problems: list[str] = []
    done = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    registered = Registration(lake, args.dataset, f"{args.start} to {args.end}")
    with registered, Progress(*columns, console=console) as progress, suppress(Stopped):
        overall = progress.add_task(args.dataset, total=len(jobs))
        waiting = progress.add_task("", total=None, visible=False)
        rest = access.connect(config, partial(_show_wait, progress, waiting))
        for session, _, dataset in jobs:
            registered.state = f"{dataset} {session}"
            job = _SessionJob(lake, config, rest, dataset, session, registered)
            progress.update(overall, description=registered.state)
            problems += job.run(args.tickers, args.force, access, progress)
            progress.advance(overall)
            done += 1
    if done < len(jobs) and (asked := registered.stop) is not None:
        problems.append(f"told to stop by {asked.by} after {done} of {len(jobs)}; run it again to go on")
    for problem in problems:
        console.print(problem, style="red", highlight=False)
    console.print(f"{len({job[0] for job in jobs})} sessions, {len(problems)} problems", highlight=False)
    return 1 if problems else 0


def _show_wait(progress: Progress, task: TaskID, wait_s: float) -> None:
    progress.update(task, description=f"  waits {wait_s:.0f} s for the rate limit", visible=wait_s > 0)


class _SessionJob:
    """One session's capture."""

    def __init__(
        self,
        lake: Lake,
        config: Config,
        rest: PolygonRest,
        dataset: str,
        session: date,
        registered: Registration,
    ) -> None:
        self.lake = lake
        self.config = config
        self.rest = rest
        self.dataset = dataset
        self.session = session
        self.registered = registered

    def run(self, wanted: list[str], force: bool, access: VendorAccess, progress: Progress) -> list[str]:
        """Capture the session; return what went wrong, in words. `Stopped` where somebody asks for it to end."""
        self.registered.go_on()
        # Two backfills of one session would share a stage: the second waits and then finds the session complete.
        with self.lake.storage.locked(paths.stages(self.dataset, self.session)):
            try:
                batches = discover_and_plan(
                    self.lake,
                    self.config,
                    self.rest,
                    self.dataset,
                    self.session,
                    stage_id=_own_stages() + secrets.token_hex(4),
                    run_id=_RUN_ID,
                    tickers=wanted,
                    force=force,
                )
                staged = self._resume_or_begin(batches, access) if batches else []
                self._remove_other_stages(staged)
                if not staged:
                    return []
                return self._capture(staged, progress, is_deliberate=bool(wanted) and force)
            except (ConfigError, Stopped):  # as wrong for every other session, or for none
                raise
            except BellwetherError as error:
                return [f"{self.dataset} {self.session}: {error}"]

    def _capture(self, batches: list[Batch], progress: Progress, *, is_deliberate: bool) -> list[str]:
        stage_id = batches[0].stage_id
        stage = Stage(self.lake, self.dataset, self.session, stage_id)
        task = progress.add_task(f"  {self.session}", total=len(batches))
        for batch in batches:
            self.registered.go_on()
            progress.update(task, description=f"  {batch.name}")
            staged = stage.read_batch(batch.index)
            if staged is None or staged[1].failed:
                try:
                    fetch_batch(self.lake, self.rest, self.config, batch)
                except (VendorError, SnapshotMissed) as error:
                    line = f"{self.dataset} {self.session} {batch.name}: {error}; {error.advice}"
                    progress.console.print(line, style="yellow", highlight=False)
            progress.advance(task)
        progress.remove_task(task)
        validate_stage(self.lake, self.config, batches)
        publication = publish_stage(
            self.lake,
            self.config,
            self.dataset,
            self.session,
            stage_id=stage_id,
            run_id=_RUN_ID,
            accept_loss=is_deliberate,
            accept_late=is_deliberate,
        )
        problems = failed_tickers(self.lake, batches) | publication.refused
        for ticker in sorted(forgivable(self.lake, self.dataset, self.session, problems)):
            line = f"{self.dataset} {self.session} {ticker} (best effort): {problems.pop(ticker)}"
            progress.console.print(line, style="yellow", highlight=False)
        # The ledger knows what is missing; a stage that stayed would be taken up again instead of asking anew.
        stage.remove()
        return [f"{self.dataset} {self.session} {ticker}: {reason}" for ticker, reason in sorted(problems.items())]

    def _resume_or_begin(self, batches: list[Batch], access: VendorAccess) -> list[Batch]:
        """Go on with what an interrupted backfill of the same plan staged recently; else begin a stage."""
        content = {"url": access.url, "batches": [batch.tickers for batch in batches]}
        plan = json.dumps(content, sort_keys=True).encode()
        since = self.lake.clock.now() - _RESUME_WITHIN
        for entry in self.lake.storage.list(paths.stages(self.dataset, self.session)):
            if not entry.key.match(f"{_STAGE_PREFIX}*/{_PLAN}") or entry.modified_utc < since:
                continue
            stored = self.lake.storage.read(entry.key)
            if stored is not None and stored.content == plan:
                return [msgspec.structs.replace(batch, stage_id=entry.key.parent.name) for batch in batches]
        self.lake.storage.write(paths.stage(self.dataset, self.session, batches[0].stage_id) / _PLAN, plan)
        return batches

    def _remove_other_stages(self, batches: list[Batch]) -> None:
        """Remove what backfills of this session left that died: of those that share the lock only its holder lives."""
        kept = {batch.stage_id for batch in batches}
        stages = paths.stages(self.dataset, self.session)
        found = {entry.key.relative_to(stages).parts[0] for entry in self.lake.storage.list(stages)}
        for stage_id in sorted(found - kept):
            if stage_id.startswith(_own_stages()):
                Stage(self.lake, self.dataset, self.session, stage_id).remove()


def _own_stages() -> str:
    """Return how the stages begin of all backfills that share a lock: in a bucket, those of one user of one machine."""
    owner = f"{socket.gethostname()} {os.getuid()}"
    return f"{_STAGE_PREFIX}{hashlib.sha256(owner.encode()).hexdigest()[:8]}~"
