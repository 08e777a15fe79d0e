"""Do the minutes add up to the day? A session's minutes beside the official daily values, differences counted.

They are made of different trades, so they never agree to the last share, and nothing here is an error. The day's open
and close are as a rule auction prices, while minutes hold whatever traded first and last; the closing auction prints
after 16:00, outside of regular minutes. The day's volume has those prints, odd lots, late reports and extended hours.
What is counted is what this does not explain.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.errors import QualityError
from bellwether.quality.bar_rules import PRICES
from bellwether.quality.prepare import any_of
from bellwether.quality.reasons import CrossCheckWarning

ONE_CENT = 0.01
PRICE_TOLERANCE_BP = {"open": 50.0, "high": 10.0, "low": 10.0, "close": 50.0}
"""Basis points of the official price. Auctions clear some way from the next trade; a day's extremes are trades that
minutes have too. A difference of a cent is never counted: at $1 it is 100 basis points."""
VOLUME_ABOVE_TOLERANCE_BP = 1.0
"""Minutes are part of the day; more than rounding above it, shares were counted twice."""
VOLUME_BELOW_TOLERANCE_BP = 5_000.0
"""Auctions and extended hours take a few tenths of a usual day, on index rebalancings more; half is worth a look."""

DIFFERENCES = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("minutes_value", pa.float64(), nullable=True),
        pa.field("official_value", pa.float64(), nullable=True),
        pa.field("difference", pa.float64(), nullable=True),
        pa.field("difference_bp", pa.float64(), nullable=True),
        pa.field("warning", pa.string(), nullable=True),
    ]
)
_FIELDS = (*PRICES, "volume")
_CENT_TOLERANCE = ONE_CENT + 1e-6  # the difference of two doubles a cent apart may be more than 0.01


@dataclass(frozen=True)
class CrossCheck:
    """How a session's minutes and its official values compare.

    Attributes
    ----------
    differences
        Schema `DIFFERENCES`, sorted by ticker and field: one row for each value that differs. `difference` is minutes
        less official, in dollars or shares, `difference_bp` its ten-thousandths of the official value (null where that
        is 0), `warning` a `CrossCheckWarning` or null. A ticker that only one side has differs in every field, the
        other side's value null.
    warnings
        Tickers per `CrossCheckWarning`; every name is there.
    """

    differences: pa.Table
    warnings: dict[str, int]


def crosscheck(minutes: pa.Table, official: pa.Table) -> CrossCheck:
    """Compare what a session's regular minutes add up to with the official day.

    Parameters
    ----------
    minutes
        One row per ticker with `ticker`, `open`, `high`, `low`, `close`, `volume`: the session's minutes rolled up to
        `1d`, regular hours only, unadjusted.
    official
        The same columns, unadjusted, of the tickers that were to be captured; a value that is null is not compared.

    Raises
    ------
    QualityError
        A ticker has several rows.
    """
    for table, side in ((minutes, "minutes"), (official, "official values")):
        counts = pc.value_counts(table["ticker"])
        repeated = sorted(count["values"] for count in counts.to_pylist() if count["counts"] > 1)
        if repeated:
            msg = f"{side} of one session have several rows of {', '.join(repeated[:5])}"
            raise QualityError(msg)
    columns = ["ticker", *_FIELDS]
    both = minutes.select(columns).join(
        official.select(columns), "ticker", join_type="full outer", right_suffix="_official"
    )
    absent = pc.coalesce(
        _where(_lacks(minutes, both), CrossCheckWarning.NO_MINUTES),
        _where(_lacks(official, both), CrossCheckWarning.NO_OFFICIAL),
    )
    found = pa.concat_tables([_differences(both, field, absent) for field in _FIELDS])
    found = found.sort_by([("ticker", "ascending"), ("field", "ascending")])
    warned = found.group_by(["ticker", "warning"]).aggregate([])["warning"].to_pylist()
    return CrossCheck(found, {name.value: warned.count(name.value) for name in CrossCheckWarning})


def _differences(both: pa.Table, field: str, absent: pa.ChunkedArray) -> pa.Table:
    minutes, official = both[field], both[f"{field}_official"]
    difference = pc.subtract(minutes, official)
    bp = pc.if_else(pc.equal(official, 0.0), None, pc.multiply(pc.divide(difference, official), 1e4))
    warnings = _volume_warnings(difference, bp) if field == "volume" else _price_warnings(field, difference, bp)
    table = pa.table(
        {
            "ticker": both["ticker"],
            "field": pa.array([field] * len(both), pa.string()),
            "minutes_value": minutes,
            "official_value": official,
            "difference": difference,
            "difference_bp": bp,
            "warning": pc.coalesce(absent, *warnings),
        }
    )
    return table.filter(any_of(absent.is_valid(), pc.not_equal(difference, 0.0))).cast(DIFFERENCES)


def _price_warnings(field: str, difference: pa.ChunkedArray, bp: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    far = pc.and_(pc.greater(pc.abs(difference), _CENT_TOLERANCE), pc.greater(pc.abs(bp), PRICE_TOLERANCE_BP[field]))
    return [_where(far, CrossCheckWarning(f"{field}_differs"))]


def _volume_warnings(difference: pa.ChunkedArray, bp: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    # Of nothing, any share is too many, though no number of basis points.
    above = pc.and_(pc.greater(difference, 0.0), pc.greater(bp.fill_null(float("inf")), VOLUME_ABOVE_TOLERANCE_BP))
    below = pc.less(bp, -VOLUME_BELOW_TOLERANCE_BP)
    return [
        _where(above, CrossCheckWarning.VOLUME_ABOVE_OFFICIAL),
        _where(below, CrossCheckWarning.VOLUME_FAR_BELOW_OFFICIAL),
    ]


def _lacks(side: pa.Table, both: pa.Table) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(both["ticker"], value_set=side["ticker"].combine_chunks()))


def _where(mask: pa.ChunkedArray, warning: CrossCheckWarning) -> pa.ChunkedArray:
    return pc.if_else(mask, warning.value, pa.scalar(None, pa.string()))
