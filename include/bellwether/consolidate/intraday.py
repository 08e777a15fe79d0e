"""Provisional gold of a session that goes on, in rounds: compact what the streams have, and build of it.

Where the daily pulls have landed the session is `session_consolidate`'s to build, and nothing here touches it. A round
that fails leaves what was published before in force; how many did in a row stands in the lake.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.config import Config
from bellwether.consolidate.build import consolidate, plan_gold
from bellwether.consolidate.inputs import RECORDER, published_inputs
from bellwether.consolidate.streamed import until_of
from bellwether.errors import InputsMissing
from bellwether.lake import Lake, Manifest, paths
from bellwether.lake.manifest import encode
from bellwether.streaming.gaps import LATE
from bellwether.streaming.heard import RECORDED, heard_until, until_over
from bellwether.streaming.live import publish_live
from bellwether.streaming.rounds import Again


@dataclass(frozen=True)
class SoFar:
    """What a round came to.

    Attributes
    ----------
    minutes
        The manifest of the minutes in force; None where nothing was built yet.
    is_settled
        Whether the session needs no provisional gold: all its daily pulls have landed.
    why
        In words.
    """

    minutes: Manifest | None
    is_settled: bool
    why: str


class FailedRounds(msgspec.Struct, frozen=True):
    """How many rounds failed one after the other, and why the last one did."""

    count: int
    why: str


def stream_so_far(lake: Lake, config: Config, session: date, *, run_id: str) -> dict[str, datetime] | None:
    """Compact what was streamed of a session so far, if provisional gold may be built of it.

    Returns
    -------
    dict or None
        Until when each dataset is heard; None where only final gold may be built: there is some, or all inputs stand.

    Raises
    ------
    LakeError
        The storage refused.
    """
    gold = lake.manifest(RECORDER, session)
    if (gold is not None and not gold.is_provisional) or not published_inputs(lake, config, session).lacking:
        return None
    # How far it is heard first: what is compacted then holds all of that, and perhaps more.
    heard = {dataset: heard_until(lake, dataset, session) for dataset in RECORDED}
    return {
        dataset: until
        for dataset, until in heard.items()
        if until is not None and publish_live(lake, config, dataset, session, run_id=run_id) is not None
    }


def build_so_far(lake: Lake, config: Config, session: date, *, stage_id: str, run_id: str) -> SoFar:
    """Do a round.

    Raises
    ------
    QualityError
        What was built breaks a rule; nothing of it was published.
    InputsChanged
        What was streamed, or pulled, was published anew meanwhile.
    LakeError
        The storage refused.
    """
    streamed = stream_so_far(lake, config, session, run_id=run_id)
    if streamed is None:
        return SoFar(lake.manifest(RECORDER, session), is_settled=True, why="the daily pulls have landed")
    try:
        plan = plan_gold(lake, config, session, stage_id=stage_id, streamed=streamed)
        if plan is not None:
            consolidate(lake, config, plan, run_id=run_id)
    except InputsMissing as error:
        return SoFar(lake.manifest(RECORDER, session), is_settled=False, why=str(error))
    minutes = lake.manifest(RECORDER, session)
    return SoFar(minutes, is_settled=False, why=in_words(minutes) if minutes else "nothing was built")


def in_words(gold: Manifest) -> str:
    """Return what a partition of gold is: how many rows, and until when where it is provisional."""
    until = until_of(gold.inputs)
    revision = f"revision {gold.revision[:12]}"
    if until is None:
        return f"{gold.rows:,} rows, {revision}"
    return f"{gold.rows:,} rows until {until.astimezone(NEW_YORK):%H:%M} New York, provisional, {revision}"


def next_round(config: Config, session: date, now: datetime, why: str) -> Again:
    """Return when to build again: as often as configured while minutes of gold may change, then when all is over.

    Parameters
    ----------
    now
        The feed's.
    why
        Of the round before.
    """
    every = timedelta(minutes=config.settings.streaming.intraday_every_min or 0)
    hours = get_calendar().hours(session)
    is_extended = config.settings.consolidation.extended_hours
    start, end = (hours.pre_open, hours.post_close) if is_extended else (hours.open, hours.close)
    if now < start:
        return Again(start + every - now, why)
    # Options are reported, and minutes changed, for a quarter of an hour each.
    return Again(every if now < end + 2 * LATE else until_over(session, now), why)


def count_failure(lake: Lake, session: date, why: str) -> int:
    """Record that a round failed; return how many have in a row."""
    stored = lake.storage.read(paths.rounds(RECORDER, session))
    before = msgspec.json.decode(stored.content, type=FailedRounds).count if stored else 0
    lake.storage.write(paths.rounds(RECORDER, session), encode(FailedRounds(before + 1, why)))
    return before + 1


def forget_failures(lake: Lake, session: date) -> None:
    """Record that a round came through."""
    lake.storage.delete(paths.rounds(RECORDER, session))
