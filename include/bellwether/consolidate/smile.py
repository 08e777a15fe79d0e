"""What a chain's prints say of the whole chain at every minute: volatility at the money, skew, wings, term, volumes.

Options print rarely, so a minute is judged by the last print of each contract, while it is no older than a limit. A
print counts once its minute has ended. Only the out-of-the-money side of a strike is taken: calls from the forward up,
puts up to it; those of the money's other side are American and mostly intrinsic value. Nothing is extrapolated: what
does not lie between two prints is null.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.schemas import MINUTES

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]

_MINUTE_MS = 60_000
_WING_DELTA = 0.25
_SOLVED = [
    *("ticker", "ts", "right", "expiration", "settlement", "strike", "t_years", "rate", "dividend_yield"),
    *("iv", "delta"),
]

AGGREGATES = pa.schema([field for field in MINUTES if field.name.startswith("chain_")])
"""The four lists run over the same expirations, ascending, of one date those settled in the morning first: all that had
a solved print so far; a value not known is null.

`chain_atm_iv` is the volatility where strike is forward, `chain_skew_25d` that of the 25-delta put less that of the
25-delta call, `chain_butterfly_25d` the mean of both less `chain_atm_iv`: fractions per year. `chain_term_slope` is
the difference of `chain_atm_iv` between the last and the first expiration that have one, over the years between them.
`chain_volume` counts the contracts that traded in the minute, `chain_put_call_ratio` is puts over calls in contracts
since the session's first print, null before the first call. All are null where the ticker has no chain.
"""


@dataclass(frozen=True)
class _Smile:
    """One expiration, per minute of the grid; NaN where not known. `is_seen`: it has had a solved print."""

    expiration: date
    atm_iv: _Floats
    skew: _Floats
    butterfly: _Floats
    is_seen: _Mask


def aggregate_chain(chain: pa.Table, grid_ms: _Ints, spots: _Floats, *, max_age: timedelta) -> pa.Table:
    """Return what one underlying's chain says at every minute.

    Parameters
    ----------
    chain
        Rows of the schema `CHAIN` of one underlying, in the order of its key.
    grid_ms
        The starts of the minutes to judge, ascending, ms since the epoch.
    spots
        The underlying's price at the end of each of them, NaN where not known.
    max_age
        How long a contract's last print counts.

    Returns
    -------
    pyarrow.Table
        Schema `AGGREGATES`, a row per minute of the grid.
    """
    solved = chain.select(_SOLVED).filter(pc.and_(pc.is_valid(chain["iv"]), pc.invert(chain["is_adjusted"])))
    smiles = [_smile(expiration, rows, grid_ms, spots, max_age) for expiration, rows in _series(solved)]
    return pa.table(
        [
            *_lists(smiles, len(grid_ms)),
            pa.array(_term_slope(smiles, len(grid_ms)), from_pandas=True),
            *_volumes(chain, grid_ms),
        ],
        schema=AGGREGATES,
    )


def _series(solved: pa.Table) -> Iterator[tuple[date, dict[str, npt.NDArray[Any]]]]:
    """Return each expiration with its rows' columns, ascending: those of SPX that are settled in the morning first."""
    columns = {name: _numbers(solved, name) for name in ("delta", "dividend_yield", "iv", "rate", "strike", "t_years")}
    columns["ts_ms"] = solved["ts"].cast(pa.int64()).to_numpy()
    columns["is_call"] = pc.equal(solved["right"], "call").to_numpy()
    columns["contract"] = solved["ticker"].combine_chunks().dictionary_encode().indices.to_numpy()
    days = solved["expiration"].combine_chunks().dictionary_encode()
    is_pm = pc.equal(solved["settlement"], "pm").to_numpy()
    number = days.indices.to_numpy()
    for day, code in sorted((day, code) for code, day in enumerate(days.dictionary.to_pylist())):
        for which in (~is_pm, is_pm):
            [rows] = np.nonzero((number == code) & which)
            if len(rows):
                yield day, {name: column[rows] for name, column in columns.items()}


def _smile(
    expiration: date, rows: dict[str, npt.NDArray[Any]], grid_ms: _Ints, spots: _Floats, max_age: timedelta
) -> _Smile:
    first, column = np.unique(rows["contract"], return_index=True, return_inverse=True)[1:]
    ts_ms = rows["ts_ms"]

    last = np.full((len(grid_ms), len(first)), -1)
    at = np.searchsorted(grid_ms, ts_ms, side="left")
    inside = at < len(grid_ms)
    last[at[inside], column[inside]] = np.flatnonzero(inside)  # of one contract ascending in time: the last one stays
    last[...] = np.maximum.accumulate(last, axis=0)
    is_fresh = last >= 0
    is_fresh &= grid_ms[:, None] - np.where(is_fresh, ts_ms[last], 0) <= max_age / timedelta(milliseconds=1)

    iv, delta = rows["iv"][last], np.abs(rows["delta"])[last]
    strikes, is_call = rows["strike"][first], rows["is_call"][first]
    forwards = spots * np.exp(_latest_carry(rows, grid_ms))
    with np.errstate(invalid="ignore"):
        moneyness = np.log(strikes[None, :] / forwards[:, None])
    is_call_wing = is_fresh & is_call & (moneyness >= 0)
    is_put_wing = is_fresh & ~is_call & (moneyness <= 0)

    atm = _between(moneyness, iv, is_call_wing | is_put_wing, 0.0)
    call_wing = _between(delta, iv, is_call_wing, _WING_DELTA)
    put_wing = _between(delta, iv, is_put_wing, _WING_DELTA)
    is_seen: _Mask = np.asarray((last >= 0).any(axis=1))
    return _Smile(expiration, atm, put_wing - call_wing, (put_wing + call_wing) / 2 - atm, is_seen)


def _latest_carry(rows: dict[str, npt.NDArray[Any]], grid_ms: _Ints) -> _Floats:
    """Return (rate - dividend yield) x years of the expiration's latest print at each minute, NaN before the first."""
    by_time = np.argsort(rows["ts_ms"], kind="stable")
    at = np.searchsorted(rows["ts_ms"], grid_ms, side="right", sorter=by_time) - 1
    carry = (rows["rate"] - rows["dividend_yield"]) * rows["t_years"]
    return np.where(at >= 0, carry[by_time[at]], np.nan)


def _between(x: _Floats, y: _Floats, usable: _Mask, wanted: float) -> _Floats:
    """Return, for each row, `y` at `wanted`, linear between the nearest usable `x` on both sides; NaN without one.

    Where several `x` are equally near, as a call and a put at the forward, their mean is taken.
    """
    below = np.where(usable & (x <= wanted), x, -np.inf)
    above = np.where(usable & (x >= wanted), x, np.inf)
    low, high = below.max(axis=1, initial=-np.inf), above.min(axis=1, initial=np.inf)
    has_both = np.isfinite(low) & np.isfinite(high)
    y_low, y_high = _mean_where(y, below == low[:, None], has_both), _mean_where(y, above == high[:, None], has_both)
    width = np.where(has_both & (high > low), high - low, 1.0)
    share = np.where(has_both, wanted - np.where(has_both, low, 0.0), 0.0) / width
    return np.where(has_both, y_low + share * (y_high - y_low), np.nan)


def _mean_where(y: _Floats, chosen: _Mask, rows: _Mask) -> _Floats:
    chosen = chosen & rows[:, None]
    count = chosen.sum(axis=1)
    mean: _Floats = np.where(chosen, y, 0.0).sum(axis=1) / np.maximum(count, 1)
    return mean


def _term_slope(smiles: list[_Smile], minutes: int) -> _Floats:
    if not smiles:
        return np.full(minutes, np.nan)
    atm = np.stack([each.atm_iv for each in smiles], axis=1)
    years = np.array([(each.expiration - smiles[0].expiration).days / 365 for each in smiles])
    known = np.isfinite(atm)
    first, last = known.argmax(axis=1), known.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    row, apart = np.arange(minutes), years[last] - years[first]
    is_known = known.any(axis=1) & (apart > 0)
    return np.where(is_known, (atm[row, last] - atm[row, first]) / np.where(is_known, apart, 1.0), np.nan)


def _lists(smiles: list[_Smile], minutes: int) -> list[pa.Array]:
    seen = np.stack([each.is_seen for each in smiles], axis=1) if smiles else np.zeros((minutes, 0), np.bool_)
    offsets = pa.array(np.concatenate([[0], seen.sum(axis=1).cumsum()]), pa.int32())
    days = np.array([each.expiration for each in smiles], "datetime64[D]")
    columns = [pa.array(np.broadcast_to(days, seen.shape)[seen], pa.date32())]
    for name in ("atm_iv", "skew", "butterfly"):
        values = np.stack([getattr(each, name) for each in smiles], axis=1)[seen] if smiles else np.empty(0)
        columns += [pa.array(values, pa.float64(), from_pandas=True)]
    return [pa.ListArray.from_arrays(offsets, column) for column in columns]


def _volumes(chain: pa.Table, grid_ms: _Ints) -> list[pa.Array]:
    ts_ms, volume = chain["ts"].cast(pa.int64()).to_numpy(), _numbers(chain, "volume")
    is_call = pc.equal(chain["right"], "call").to_numpy()
    at = np.searchsorted(grid_ms, ts_ms, side="right") - 1
    inside = (at >= 0) & (ts_ms < grid_ms[at] + _MINUTE_MS)
    calls, puts = (
        np.bincount(at[side & inside], weights=volume[side & inside], minlength=len(grid_ms))
        for side in (is_call, ~is_call)
    )
    calls_so_far, puts_so_far = calls.cumsum(), puts.cumsum()
    ratio = np.where(calls_so_far > 0, puts_so_far / np.where(calls_so_far > 0, calls_so_far, 1.0), np.nan)
    return [pa.array(calls + puts), pa.array(ratio, from_pandas=True)]


def _numbers(rows: pa.Table, name: str) -> _Floats:
    numbers: _Floats = rows[name].to_numpy()
    return numbers
