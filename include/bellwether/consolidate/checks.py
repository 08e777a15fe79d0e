"""Where a chain's prints contradict each other, or the vendor: marked and counted, never dropped.

Prints of one minute are compared. Their order within it is not known, nor how wide the market was, so a contradiction
counts from a tolerance on: `TICK` dollars for each print, and what the contract moves while its underlying moves by
`MOVE`, by the largest delta among them (1 where it is not known). A bound that a single print breaks is its `iv_status`
already; there is no tolerance.

Early exercise is allowed for. Dividends count by `dividend_yield` alone: one that is left at 0 shows as parity violated
in the expirations behind the next ex-date.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.consolidate.greeks.status import IvStatus
from bellwether.quality.reasons import CHAIN_CHECKS, WarningName

TICK: Final = 0.05
"""Dollars: the step in which most options are quoted; of some classes above $3 it is twice that."""
MOVE: Final = 0.001
"""Share of the spot: a stock of 20 % volatility moves by 0.064 % in a minute."""
SNAPSHOT_WINDOW_MS: Final = 300_000
"""How old a print may be that is compared with the vendor's snapshot."""
IV_APART, IV_APART_SHARE, DELTA_APART = 0.02, 0.1, 0.05
"""From which difference on volatility (points, or share of the vendor's, whichever is more) and delta are far apart."""

_OUT_OF_BOUNDS = pa.array(
    [each.code for each in (IvStatus.BELOW_INTRINSIC, IvStatus.BELOW_EUROPEAN_BOUND, IvStatus.ABOVE_BOUND)]
)
_JUDGED = pa.concat_arrays(
    [_OUT_OF_BOUNDS, pa.array([each.code for each in (IvStatus.OK, IvStatus.AT_INTRINSIC, IvStatus.OUT_OF_RANGE)])]
)

type _Floats = npt.NDArray[np.float64]
type _Integers = npt.NDArray[np.int64]
type _Flags = npt.NDArray[np.bool_]


class _Found(NamedTuple):
    """Rows that were compared with others, and whether what was found is beyond its tolerance."""

    rows: _Integers
    is_violated: _Flags


class _Prints(NamedTuple):
    """The prints that can be compared, as columns; `row` is where each stands in the chain."""

    row: _Integers
    series: _Integers
    underlying: _Integers
    ts: _Integers
    strike: _Floats
    is_call: _Flags
    is_american: _Flags
    price: _Floats
    spot: _Floats
    years: _Floats
    rate: _Floats
    dividend_yield: _Floats
    delta: _Floats

    def at(self, order: npt.NDArray[np.intp]) -> "_Prints":
        """Return them in an order."""
        return self._replace(**{name: getattr(self, name)[order] for name in self._fields})


def check_chain(chain: pa.Table, snapshot: pa.Table) -> pa.Table:
    """Return which prints violate what.

    Parameters
    ----------
    chain
        Rows of `chain` in the order of its key.
    snapshot
        Rows of `options_snapshot` of the session; none where it was not captured.

    Returns
    -------
    pyarrow.Table
        As many rows, a boolean column for each of `CHAIN_CHECKS`; null where there was nothing to compare with. Of two
        or three prints compared one is marked: the call, the higher strike, the strike between, the later expiration.
    """
    prints = _prints(chain)
    found = {
        WarningName.PRICE_OUT_OF_BOUNDS: _bounds(chain),
        WarningName.PARITY_VIOLATED: _parity(prints),
        **_along_strikes(prints),
        WarningName.CALENDAR_ARBITRAGE: _calendar(prints),
        **_against_snapshot(chain, snapshot),
    }
    return pa.table({name.value: _column(found[name], len(chain)) for name in CHAIN_CHECKS})


def count_by_expiration(chain: pa.Table, checked: pa.Table) -> list[dict[str, object]]:
    """Return how often each check compared, and found a violation, in each expiration of each underlying.

    Parameters
    ----------
    chain
        What was checked.
    checked
        From `check_chain`.
    """
    names = checked.column_names
    keys = ["underlying", "expiration", "settlement"]
    numbers = chain.select(keys)
    for name in names:
        numbers = numbers.append_column(name, checked[name].cast(pa.int64()))
    counted = numbers.group_by(keys, use_threads=False).aggregate(
        [(name, how) for name in names for how in ("count", "sum")]
    )
    return [
        {key: str(row[key]) for key in keys}
        | {"check": name, "compared": row[f"{name}_count"], "violations": row[f"{name}_sum"]}
        for row in counted.sort_by([(key, "ascending") for key in keys]).to_pylist()
        for name in names
        if row[f"{name}_count"]
    ]


def _prints(chain: pa.Table) -> _Prints:
    [row] = np.nonzero(pc.is_in(chain["iv_status"], value_set=_JUDGED).to_numpy())
    rows = chain.take(pa.array(row))
    underlying, expiration, settlement = (_codes(rows, name) for name in ("underlying", "expiration", "settlement"))
    series = (underlying * (expiration.max(initial=0) + 1) + expiration) * 2 + settlement
    return _Prints(
        row=row,
        series=series,
        underlying=underlying,
        ts=rows["ts"].cast(pa.int64()).to_numpy(),
        strike=rows["strike"].to_numpy(),
        is_call=pc.equal(rows["right"], "call").to_numpy(),
        is_american=pc.equal(rows["exercise_style"], "american").to_numpy(),
        price=rows["close"].to_numpy(),
        spot=rows["spot"].to_numpy(),
        years=rows["t_years"].to_numpy(),
        rate=rows["rate"].to_numpy(),
        dividend_yield=rows["dividend_yield"].to_numpy(),
        delta=np.abs(rows["delta"].fill_null(1.0).to_numpy()),
    )


def _codes(rows: pa.Table, name: str) -> _Integers:
    coded: pa.DictionaryArray = rows[name].combine_chunks().dictionary_encode()
    return np.asarray(coded.indices.to_numpy(), np.int64)


def _column(found: _Found, rows: int) -> pa.Array:
    is_violated, is_compared = np.zeros((2, rows), np.bool_)
    is_violated[found.rows], is_compared[found.rows] = found.is_violated, True
    return pa.array(is_violated, mask=~is_compared)


def _bounds(chain: pa.Table) -> _Found:
    is_judged = pc.is_in(chain["iv_status"], value_set=_JUDGED).to_numpy()
    is_out = pc.is_in(chain["iv_status"], value_set=_OUT_OF_BOUNDS).to_numpy()
    return _Found(np.flatnonzero(is_judged), is_out[is_judged])


def _tolerance(*prints: _Prints) -> _Floats:
    delta = np.maximum.reduce([each.delta for each in prints])
    tolerance: _Floats = TICK * len(prints) + MOVE * prints[0].spot * delta
    return tolerance


def _neighbours(prints: _Prints, *keys: str, along: str) -> tuple[_Prints, _Flags]:
    """Return prints ordered by keys and along a column, and which of them follow another of the same keys."""
    columns = [getattr(prints, name) for name in keys]
    ordered = prints.at(np.lexsort((getattr(prints, along), *reversed(columns))))
    follows = np.zeros(len(ordered.row), np.bool_)
    follows[1:] = getattr(ordered, along)[1:] > getattr(ordered, along)[:-1]
    for name in keys:
        column = getattr(ordered, name)
        follows[1:] &= column[1:] == column[:-1]
    return ordered, follows


def _parity(prints: _Prints) -> _Found:
    ordered, follows = _neighbours(prints, "series", "ts", "strike", along="is_call")
    [second] = np.nonzero(follows)
    put, call = ordered.at(second - 1), ordered.at(second)
    spot = call.spot * np.exp(-call.dividend_yield * call.years)
    strike = call.strike * np.exp(-call.rate * call.years)
    # Early exercise of either side may pay the other's carry: then only bounds hold.
    low = np.where(call.is_american, np.minimum(spot, call.spot) - np.maximum(strike, call.strike), spot - strike)
    high = np.where(call.is_american, np.maximum(spot, call.spot) - np.minimum(strike, call.strike), spot - strike)
    apart = call.price - put.price
    beyond = np.maximum(low - apart, apart - high)
    return _Found(call.row, beyond > 2 * TICK + MOVE * call.spot)


def _along_strikes(prints: _Prints) -> dict[WarningName, _Found]:
    """Judge the prices of one minute by strike: calls fall, puts rise, and no price is above the line of its sides."""
    ordered, follows = _neighbours(prints, "series", "is_call", "ts", along="strike")
    [second] = np.nonzero(follows)
    lower, upper = ordered.at(second - 1), ordered.at(second)
    wrong_way = np.where(upper.is_call, upper.price - lower.price, lower.price - upper.price)
    [third] = np.nonzero(follows[1:] & follows[:-1])
    third += 1
    left, middle, right = ordered.at(third - 2), ordered.at(third - 1), ordered.at(third)
    share = (middle.strike - left.strike) / (right.strike - left.strike)
    above = middle.price - (1 - share) * left.price - share * right.price
    return {
        WarningName.NOT_MONOTONE_IN_STRIKE: _Found(upper.row, wrong_way > _tolerance(lower, upper)),
        WarningName.NOT_CONVEX_IN_STRIKE: _Found(middle.row, above > _tolerance(left, middle, right)),
    }


def _calendar(prints: _Prints) -> _Found:
    """Judge the prices of one minute by expiration: what lasts longer is worth as much.

    That holds of American contracts as they are. Of European ones it holds at equal moneyness of the forward, less the
    dividends between; the strike is brought there by the most that a strike's change can be worth.
    """
    ordered, follows = _neighbours(prints, "underlying", "is_call", "strike", "ts", along="years")
    [second] = np.nonzero(follows)
    near, far = ordered.at(second - 1), ordered.at(second)
    paid = near.dividend_yield * (far.years - near.years)
    carried = far.rate * far.years - near.rate * near.years - paid
    shifted = far.strike * np.expm1(carried) * np.exp(-far.rate * far.years)
    european = near.price * np.exp(-paid) - np.maximum(np.where(far.is_call, -shifted, shifted), 0)
    short = np.where(far.is_american, near.price, european) - far.price
    return _Found(far.row, short > _tolerance(near, far))


def _against_snapshot(chain: pa.Table, snapshot: pa.Table) -> dict[WarningName, _Found]:
    """Compare the last print of each contract that was known to the snapshot, if it is young.

    Left out are crossed quotes, and American puts in the money, whose volatility is another by definition.
    """
    crossed = pc.fill_null(pc.greater(snapshot["bid"], snapshot["ask"]), False)
    quoted = snapshot.filter(pc.invert(crossed))
    at = pc.index_in(chain["ticker"], value_set=quoted["ticker"].combine_chunks())
    contract = pc.fill_null(at, -1).to_numpy().astype(np.int64)
    known_ms = quoted["ts"].cast(pa.int64()).to_numpy()
    age_ms = np.append(known_ms, 0)[contract] - (chain["ts"].cast(pa.int64()).to_numpy() + 60_000)
    usable = (contract >= 0) & (age_ms >= 0) & (age_ms <= SNAPSHOT_WINDOW_MS)
    usable &= pc.equal(chain["iv_status"], IvStatus.OK.code).to_numpy() & ~chain["is_american_biased"].to_numpy()
    last = np.full(len(quoted), -1)
    last[contract[usable]] = np.flatnonzero(usable)  # of each contract ascending in time: the last one stays
    found = {}
    for name, column, apart, share in (
        (WarningName.IV_FAR_FROM_VENDOR, "iv", IV_APART, IV_APART_SHARE),
        (WarningName.DELTA_FAR_FROM_VENDOR, "delta", DELTA_APART, 0.0),
    ):
        vendors = quoted[f"vendor_{column}"].to_numpy()
        [compared] = np.nonzero((last >= 0) & np.isfinite(vendors))
        ours, theirs = chain[column].to_numpy()[last[compared]], vendors[compared]
        is_far = np.abs(ours - theirs) > np.maximum(apart, share * np.abs(theirs))
        found[name] = _Found(last[compared], is_far)
    return found
