"""What the streams had of a session, standing in for inputs of gold that are absent: which, and until when.

Such gold is provisional. It ends with the last minute that its streams have, and the instant until which each of them
is heard is an input, as `equities_live#until`, beside the revision of what it published.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Final

from bellwether.lake import Lake, Manifest
from bellwether.schemas import LIVE
from bellwether.streaming.live import live

_BROADCAST: Final = frozenset(name.removesuffix("_live") for name, form in LIVE.items() if "ts" in form.schema.names)
"""Whose minutes are streamed. News have no end: an article is known from when it was seen."""

_FAR_BEHIND: Final = timedelta(minutes=15)


def standing_in(
    lake: Lake, session: date, absent: Collection[str], streamed: Mapping[str, datetime]
) -> dict[str, Manifest]:
    """Return what is published of the streams of absent datasets; nothing where no minutes are among them.

    Parameters
    ----------
    absent
        Inputs that do not stand.
    streamed
        Until when those that were streamed are heard.
    """
    wanted = (each for each in absent if live(each) in LIVE and (each in streamed or each not in _BROADCAST))
    found = {dataset: lake.manifest(live(dataset), session) for dataset in wanted}
    standing = {dataset: manifest for dataset, manifest in found.items() if manifest is not None}
    return standing if standing.keys() & _BROADCAST else {}


def heard_inputs(datasets: Collection[str], streamed: Mapping[str, datetime]) -> dict[str, str]:
    """Return the instants until which those that are streamed in minutes are heard, as inputs."""
    return {_until(dataset): streamed[dataset].isoformat() for dataset in datasets if dataset in _BROADCAST}


def streamed_of(inputs: Mapping[str, str]) -> dict[str, datetime]:
    """Return of each dataset for which its stream stands in, until when it is heard; nothing for final gold."""
    return {
        dataset: datetime.fromisoformat(inputs[_until(dataset)])
        for dataset in sorted(_BROADCAST)
        if _until(dataset) in inputs
    }


def until_of(inputs: Mapping[str, str]) -> datetime | None:
    """Return when the last minute of provisional gold is over; None for final gold.

    A stream that is heard no further ends it. Equities decide; one more than 15 minutes behind them holds nobody up.
    """
    heard = streamed_of(inputs)
    if not heard:
        return None
    newest = heard.get("equities") or max(heard.values())
    return min(until for until in heard.values() if newest - until <= _FAR_BEHIND)


def may_replace(inputs: Mapping[str, str], published: Manifest) -> bool:
    """Return whether gold of these inputs may take the place of other: provisional not of final nor of later gold."""
    until, theirs = until_of(inputs), until_of(published.inputs)
    return until is None or (theirs is not None and theirs <= until)


def _until(dataset: str) -> str:
    return f"{live(dataset)}#until"
