"""Whether a silent connection is quiet or dead, and which symbols are quiet beside others that are not.

Few trades, a lunch hour, the hours after the close: silence alone proves nothing. So a connection that says nothing for
a while is asked something that it must answer, and is dead when it does not. Why a symbol is quiet nobody knows; a halt
is what the vendor calls one, and no silence is called a halt here.
"""

from collections.abc import Mapping
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.streaming.decode import MINUTE_MS
from bellwether.streaming.feedtime import FeedTime


class Verdict(StrEnum):
    """What is to be made of a connection."""

    FINE = "fine"
    ASK = "ask"
    DEAD = "dead"


class Watchdog:
    """The silence of one connection.

    Parameters
    ----------
    feed
        The time silence is measured in.
    idle_s
        Seconds of silence after which the connection is asked.
    answer_s
        Seconds it has to answer.
    """

    def __init__(self, feed: FeedTime, *, idle_s: float, answer_s: float) -> None:
        self._silence = feed.deadline(idle_s)
        self._answer = feed.deadline(answer_s)
        self._is_asked = False
        self._has_heard = False

    def heard(self) -> None:
        """Take note that something came; called for every frame, hence no more than that."""
        self._has_heard = True

    def verdict(self) -> Verdict:
        """Return what is to be done now, silence being counted between calls; ASK once for each silence."""
        if self._has_heard:
            self._has_heard = self._is_asked = False
            self._silence.restart()
        if not self._silence.is_over:
            return Verdict.FINE
        if not self._is_asked:
            self._is_asked = True
            self._answer.restart()
            return Verdict.ASK
        return Verdict.DEAD if self._answer.is_over else Verdict.FINE


class Quiet:
    """When each symbol was last heard of."""

    def __init__(self) -> None:
        self._last_ms: dict[str, int] = {}

    def heard(self, bars: pa.Table) -> None:
        """Take in rows of schema `LIVE_BARS` or `LIVE_VALUES`."""
        latest = bars.group_by("ticker").aggregate([("arrived_utc", "max")])
        arrived_ms = latest["arrived_utc_max"].cast(pa.int64()).to_pylist()
        self._last_ms.update(zip(latest["ticker"].to_pylist(), arrived_ms, strict=True))

    def since(self, now_ms: int, after_s: float) -> Mapping[str, float]:
        """Return symbols of which nothing came for so many seconds, while of another something did.

        Returns
        -------
        dict
            Seconds of silence per symbol; empty where all are silent, which is the connection's matter.
        """
        silent = {ticker: (now_ms - last_ms) / 1000 for ticker, last_ms in self._last_ms.items()}
        quiet = {ticker: seconds for ticker, seconds in silent.items() if seconds >= after_s}
        return quiet if len(quiet) < len(silent) else {}


def least_lag_s(bars: pa.Table) -> float | None:
    """Return by how many seconds the promptest of some minutes came after its end; None without minutes.

    What is late changes a bar of long ago, so the least says how far behind we hear. Less than zero proves that this
    machine's clock is behind the vendor's by at least as much.
    """
    if "value_utc" in bars.column_names:
        bars = bars.filter(pc.is_null(bars["value_utc"]))
    if not bars.num_rows:
        return None
    after_start_ms = pc.subtract(bars["arrived_utc"].cast(pa.int64()), bars["ts"].cast(pa.int64()))
    return float(pc.min(after_start_ms).as_py() - MINUTE_MS) / 1000
