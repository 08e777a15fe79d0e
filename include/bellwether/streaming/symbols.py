"""Whom a stream asks for: the session's universe, also those of it that become known while it goes on."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date

from bellwether.config import Config
from bellwether.errors import BellwetherError
from bellwether.ingest.universe import DISCOVERED_IN, owed_universe
from bellwether.lake import Lake
from bellwether.logging import get_logger
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.recorder import Recorder

log = get_logger(__name__)

EVERYONE = ("*",)
_LOOK_AGAIN_S = 300.0  # of the feed's time
_LEAST_S = 1.0  # of real time: a look reads a partition


def symbols_of(lake: Lake, config: Config, dataset: str, session: date) -> tuple[str, ...] | None:
    """Return whom to stream.

    Returns
    -------
    tuple of str or None
        The tickers of a list, or of the contracts published; `EVERYONE` for a rule, which records more than it means;
        None while nobody knows, since the contracts are not published yet.

    Raises
    ------
    LakeError
        The lake cannot be read.
    """
    universe = owed_universe(lake, config, dataset, session)
    if universe is None:
        return None if dataset in DISCOVERED_IN else EVERYONE
    return (*universe.required, *universe.best_effort)


async def follow(recorder: Recorder, feed: FeedTime, known: Callable[[], Sequence[str] | None]) -> None:
    """Have a recorder take up the symbols that become known, until it is cancelled.

    Parameters
    ----------
    recorder
        Which already has those known at its beginning.
    feed
        Its time.
    known
        Returns all known at the moment; called in a thread.
    """
    while True:
        await asyncio.gather(feed.sleep(_LOOK_AGAIN_S), asyncio.sleep(_LEAST_S))
        try:
            symbols = await asyncio.to_thread(known)
        except BellwetherError as error:  # what is recorded goes on; who joins late has a gap
            log.warning("whom to stream cannot be read", problem=str(error))
            continue
        recorder.add(symbols or ())
