"""What REST said of minutes beside what a stream recorded of them: what differs, and what the recordings know better.

An answer knows what was broadcast until some instant. What was heard after it is newer, and none of the answer's
business. Pure: it knows tables, not where they come from.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.schemas import TIMESTAMP
from bellwether.streaming.gaps import Filled, Gap
from bellwether.streaming.reconcile import reconcile

KEY = ["ticker", "ts"]

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Answers:
    """What REST said of some tickers.

    Attributes
    ----------
    rows
        Their minutes, in the schema of the live dataset, none twice.
    known_utc
        Of every ticker that was answered for, until when the answer knows what was broadcast.
    """

    rows: pa.Table
    known_utc: Mapping[str, datetime]

    def known_at(self, table: pa.Table) -> pa.Array:
        """Return of each row of a table, all of tickers answered for, until when the answer knows."""
        names = list(self.known_utc)
        moments = pa.array(self.known_utc.values(), TIMESTAMP)
        return moments.take(pc.index_in(table["ticker"].combine_chunks(), value_set=pa.array(names, pa.string())))


@dataclass(frozen=True)
class Share:
    """What a gap may have hidden of some tickers: the minutes that were over when it ended."""

    tickers: frozenset[str]
    first: datetime
    last: datetime

    @classmethod
    def of(cls, gap: Gap, end: datetime, span: tuple[datetime, datetime], tickers: Collection[str]) -> "Share":
        """Return the share of some tickers in a gap, until some end, as far as it lies in the session's span."""
        first, _ = gap.minutes_at_risk(end)
        first = max(first.replace(second=0, microsecond=0), span[0])
        return cls(frozenset(tickers), first, min(end, span[1]) - _MINUTE)

    def rows_of(self, table: pa.Table) -> pa.Table:
        """Return the rows of a table of minutes that belong to it."""
        first, last = (pa.scalar(moment, TIMESTAMP) for moment in (self.first, self.last))
        of_time = pc.and_(pc.greater_equal(table["ts"], first), pc.less_equal(table["ts"], last))
        of_tickers = pc.is_in(table["ticker"], value_set=pa.array(sorted(self.tickers), pa.string()))
        return table.filter(pc.and_(of_time, of_tickers))


def differences(recorded: pa.Table, answers: Answers, share: Share) -> pa.Table:
    """Return where recordings differ from answers, what was heard since left aside.

    Parameters
    ----------
    recorded
        As `compact.standing` has it.
    answers
        Of all tickers of the share, at least.
    share
        Which minutes count.

    Returns
    -------
    pyarrow.Table
        As `Reconciliation.differences`: `missing` are minutes that the recordings lack.
    """
    held = share.rows_of(recorded)
    said = share.rows_of(answers.rows)
    is_newer = pc.greater(held["arrived_utc"], answers.known_at(held))
    if pc.any(is_newer).as_py():
        said = said.join(held.filter(is_newer).select(KEY), KEY, join_type="left anti")
        held = held.filter(pc.invert(is_newer))
    return reconcile(held, said).differences


def lacking(differing: pa.Table, answers: Answers) -> pa.Table:
    """Return the answers' rows that the recordings lack or have otherwise."""
    kinds = pa.array(["missing", "changed"])
    keys = differing.filter(pc.is_in(differing["kind"], value_set=kinds)).select(KEY)
    return answers.rows.join(keys, KEY, join_type="left semi")


def filled(heard: pa.Table, answers: Answers, share: Share) -> dict[str, Filled]:
    """Return what answers have of each ticker of a share, and what of that nobody had heard so.

    Parameters
    ----------
    heard
        What was recorded of the stream alone, as `compact.standing` has it.
    """
    said = share.rows_of(answers.rows)
    volumes: dict[str, float] = {}
    if "volume" in said.column_names:
        sums = said.group_by("ticker").aggregate([("volume", "sum")])
        volumes = dict(zip(sums["ticker"].to_pylist(), sums["volume_sum"].to_pylist(), strict=True))
    minutes, differing = _counts(said), differences(heard, answers, share)
    added, changed, extra = (_counts(_of_kind(differing, kind)) for kind in ("missing", "changed", "extra"))
    return {
        ticker: Filled(
            minutes.get(ticker, 0),
            volumes.get(ticker, 0.0),
            added.get(ticker, 0),
            changed.get(ticker, 0),
            taken_back=extra.get(ticker, 0),
        )
        for ticker in sorted(share.tickers)
    }


def what_differs(differing: pa.Table, final: Collection[str]) -> dict[str, str]:
    """Return in words how the recordings of each ticker still differ; nothing of those that do not.

    Parameters
    ----------
    differing
        As `differences` returns it.
    final
        Of whom a minute that was recorded and REST has not is one that the vendor took back. Of others it tells that
        REST is behind, and may lack more.
    """
    words: dict[str, list[str]] = {}
    for kind, sentence in (
        ("missing", "{} minutes that REST has are not recorded"),
        ("extra", "{} recorded minutes that REST has not"),
        ("changed", "{} minutes are recorded otherwise than REST has them"),
    ):
        for ticker, count in _counts(_of_kind(differing, kind)).items():
            if kind == "extra" and ticker in final:
                continue
            words.setdefault(ticker, []).append(sentence.format(count))
    return {ticker: ", ".join(parts) for ticker, parts in words.items()}


def _of_kind(differing: pa.Table, kind: str) -> pa.Table:
    return differing.filter(pc.equal(differing["kind"], kind))


def _counts(rows: pa.Table) -> dict[str, int]:
    counted = pc.value_counts(rows["ticker"].combine_chunks()).to_pylist()
    return {entry["values"]: entry["counts"] for entry in counted}
