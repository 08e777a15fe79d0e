import json

import numpy as np
import pytest

from bellwether.simulator.bars import NO_COUNT, Bars, encode, join, resample

MINUTE_MS = 60_000


def bars(count: int = 4, start_ms: int = 600_000) -> Bars:
    price = 10.25 + np.arange(count)
    return Bars(
        start_ms=start_ms + MINUTE_MS * np.arange(count),
        open=price,
        high=price + 0.5,
        low=price - 0.5,
        close=price + 0.25,
        volume=np.full(count, 100.0),
        vwap=price + 0.1,
        transactions=np.arange(1, count + 1),
    )


def test_a_bar_is_written_with_the_vendors_names_and_in_its_order() -> None:
    text = encode(bars(1)).cut(0, 1)
    assert text == b'{"v":100,"vw":10.35,"o":10.25,"c":10.5,"h":10.75,"l":9.75,"t":600000,"n":1}'


def test_unknown_vwap_and_transactions_are_left_out() -> None:
    unknown = bars(2)._replace(vwap=np.array([np.nan, 10.0]), transactions=np.array([3, NO_COUNT]))
    first, second = json.loads(b"[" + encode(unknown).cut(0, 2) + b"]")
    assert "vw" not in first
    assert first["n"] == 3
    assert second["vw"] == 10
    assert "n" not in second


@pytest.mark.parametrize("value", [650.0, 0.1 + 0.2, 9_099.618093, 167.3171537941905, 1e-9, 3e12])
def test_every_number_is_read_back_exactly(value: float) -> None:
    written = encode(bars(1)._replace(volume=np.array([value]))).cut(0, 1)
    assert json.loads(written)["v"] == value


@pytest.mark.parametrize(("low", "high"), [(0, 4), (0, 1), (3, 4), (1, 3)])
def test_any_cut_is_the_rows_it_names(low: int, high: int) -> None:
    rows = json.loads(b"[" + encode(bars(4)).cut(low, high) + b"]")
    assert [row["t"] for row in rows] == [600_000 + MINUTE_MS * row for row in range(low, high)]


def test_joining_keeps_the_order_of_the_parts() -> None:
    joined = join([bars(2), bars(3, start_ms=6_000_000)])
    assert joined.start_ms.tolist() == [600_000, 660_000, 6_000_000, 6_060_000, 6_120_000]


def test_wider_windows_take_first_open_last_close_extremes_and_sums() -> None:
    wide = resample(bars(4, start_ms=600_000 + 3 * MINUTE_MS), 5 * MINUTE_MS)
    assert wide.start_ms.tolist() == [600_000, 900_000]
    assert wide.open.tolist() == [10.25, 12.25]
    assert wide.high.tolist() == [11.75, 13.75]
    assert wide.low.tolist() == [9.75, 11.75]
    assert wide.close.tolist() == [11.5, 13.5]
    assert wide.volume.tolist() == [200.0, 200.0]
    assert wide.vwap.tolist() == [10.85, 12.85]
    assert wide.transactions.tolist() == [3, 7]


def test_a_wider_window_with_one_unknown_minute_has_no_vwap_and_no_count() -> None:
    vwap, count = np.array([10.0, np.nan]), np.array([NO_COUNT, 5])
    wide = resample(bars(2)._replace(vwap=vwap, transactions=count), 5 * MINUTE_MS)
    assert np.isnan(wide.vwap).tolist() == [True]
    assert wide.transactions.tolist() == [NO_COUNT]
