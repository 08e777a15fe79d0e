"""What the stream had of a session beside what the daily pull brought: two tables, the differences counted.

The stream may lack minutes (gaps), have minutes that the vendor took back, and have others before their last print;
none of that is an error, and all of it is told. Pure: it knows tables, not where they come from.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PRICES = ("open", "high", "low", "close")
_KEY = ("ticker", "ts")


@dataclass(frozen=True)
class Reconciliation:
    """How a streamed session and its daily pull compare.

    Attributes
    ----------
    minutes
        Minutes that both have.
    missing, extra, changed
        Minutes that only the daily pull has, that only the stream has, and whose prices or volume differ.
    max_move_bp
        The largest difference of a price, in basis points of the daily one; 0.0 without any.
    streamed_volume, daily_volume
        Of all minutes of each side; 0.0 for indices.
    differences
        One row per minute that differs, sorted: `ticker`, `ts`, `kind` (`missing`, `extra` or `changed`), `move_bp` and
        `volume_difference` (streamed less daily), both null unless it is `changed`.
    """

    minutes: int
    missing: int
    extra: int
    changed: int
    max_move_bp: float
    streamed_volume: float
    daily_volume: float
    differences: pa.Table

    @property
    def volume_difference(self) -> float:
        """Streamed volume less that of the daily pull."""
        return self.streamed_volume - self.daily_volume

    @property
    def summary(self) -> dict[str, float]:
        """All numbers, by name."""
        names = ("minutes", "missing", "extra", "changed", "max_move_bp", "streamed_volume", "daily_volume")
        return {name: getattr(self, name) for name in (*names, "volume_difference")}


def reconcile(streamed: pa.Table, daily: pa.Table) -> Reconciliation:
    """Compare two tables of minutes.

    Parameters
    ----------
    streamed, daily
        `ticker`, `ts`, `open`, `high`, `low`, `close`, and `volume` except of indices; one row per ticker and `ts`.
    """
    values = [name for name in (*_PRICES, "volume") if name in daily.column_names]
    columns = [*_KEY, *values]
    left = streamed.select(columns).append_column("is_streamed", pa.repeat(True, len(streamed)))
    right = daily.select(columns).append_column("is_daily", pa.repeat(True, len(daily)))
    both = left.join(right, list(_KEY), join_type="full outer", right_suffix="_daily").combine_chunks()
    is_streamed, is_daily = (both[name].is_valid().to_numpy() for name in ("is_streamed", "is_daily"))
    moves = np.zeros(len(both))
    for name in _PRICES:
        now, then = (both[column].to_numpy() for column in (name, f"{name}_daily"))
        with np.errstate(divide="ignore", invalid="ignore"):
            move = np.where(now == then, 0.0, np.abs(now - then) / np.abs(then) * 1e4)
        moves = np.fmax(moves, move)
    volume = np.zeros(len(both))
    if "volume" in values:
        volume = both["volume"].to_numpy() - both["volume_daily"].to_numpy()
    paired = is_streamed & is_daily
    changed = paired & ((moves > 0.0) | (np.nan_to_num(volume) != 0.0))
    kind = np.select([~is_streamed, ~is_daily, changed], ["missing", "extra", "changed"], "")
    table = pa.table(
        {
            "ticker": both["ticker"],
            "ts": both["ts"],
            "kind": pa.array(kind),
            "move_bp": pa.array(moves, mask=~changed),
            "volume_difference": pa.array(volume, mask=~changed),
        }
    )
    return Reconciliation(
        minutes=int(paired.sum()),
        missing=int((~is_streamed).sum()),
        extra=int((~is_daily).sum()),
        changed=int(changed.sum()),
        max_move_bp=float(moves[paired].max(initial=0.0)),
        streamed_volume=_sum(streamed),
        daily_volume=_sum(daily),
        differences=table.filter(pc.not_equal(table["kind"], "")).sort_by([(name, "ascending") for name in _KEY]),
    )


def _sum(table: pa.Table) -> float:
    return float(pc.sum(table["volume"]).as_py() or 0.0) if "volume" in table.column_names else 0.0
