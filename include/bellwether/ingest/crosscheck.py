"""A session's published minutes beside its published day bars: both are read from the lake, whichever came last."""

from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.errors import LakeError
from bellwether.lake import Coverage, Lake, Manifest
from bellwether.lake.rollup import roll_up
from bellwether.quality.crosscheck import crosscheck
from bellwether.tickers import WHOLE

_MINUTES, _DAYS = "equities", "daily_bars"


@dataclass(frozen=True)
class SessionCheck:
    """How the minutes of a session and its day bars compare.

    Attributes
    ----------
    tickers
        How many were compared: those that were to be captured by the minute.
    others
        How many day bars are of other tickers, and compared with nothing.
    differences
        As in `bellwether.quality.crosscheck.CrossCheck`.
    tickers_by_warning
        Sorted; a warning that no ticker has is not there.
    """

    tickers: int
    others: int
    differences: pa.Table
    tickers_by_warning: dict[str, list[str]]


def why_incomparable(lake: Lake, session: date) -> str | None:
    """Return why there is nothing to compare yet, in words; None where both sides are published."""
    manifests = {dataset: lake.manifest(dataset, session) for dataset in (_MINUTES, _DAYS)}
    absent = [dataset for dataset, manifest in manifests.items() if manifest is None]
    if absent:
        return f"nothing to compare: {' and '.join(absent)} of {session} are not published"
    return _why_no_days(manifests[_DAYS])


def crosscheck_session(lake: Lake, session: date) -> SessionCheck:
    """Compare what a session's regular minutes add up to with the vendor's day bars.

    Raises
    ------
    LakeError
        There is nothing to compare yet; the message says why.
    """
    minutes, days = lake.partition(_MINUTES, session), lake.partition(_DAYS, session)
    why = why_incomparable(lake, session)
    if minutes is None or days is None or why:
        raise LakeError(why or f"nothing to compare: {session} was withdrawn meanwhile")
    asked = pa.array(sorted(minutes.manifest.coverage), pa.string())
    is_asked = pc.is_in(days.table["ticker"], value_set=asked)
    found = crosscheck(roll_up(minutes.table, "1d", regular_only=True), days.table.filter(is_asked))
    return SessionCheck(
        tickers=len(asked),
        others=days.table.num_rows - (pc.sum(is_asked).as_py() or 0),
        differences=found.differences,
        tickers_by_warning=_by_warning(found.differences),
    )


def _why_no_days(manifest: Manifest | None) -> str | None:
    known = manifest.coverage.get(WHOLE) if manifest else None
    if known is None or known.state in (Coverage.COMPLETE, Coverage.PARTIAL):
        return None
    return f"nothing to compare: {_DAYS} are published as {known.state.value} ({known.reason})"


def _by_warning(differences: pa.Table) -> dict[str, list[str]]:
    warned = differences.filter(differences["warning"].is_valid())
    pairs = {(row["warning"], row["ticker"]) for row in warned.select(["warning", "ticker"]).to_pylist()}
    tickers: dict[str, list[str]] = {}
    for warning, ticker in sorted(pairs):
        tickers.setdefault(warning, []).append(ticker)
    return tickers
