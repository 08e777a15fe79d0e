"""Equal to the byte, or where the first difference is."""

import pyarrow as pa
import pytest

from bellwether.config import SinkSettings
from bellwether.lake.layout import FileLayout
from bellwether.verify.compare import Difference, difference
from tests.builders import bars

LAYOUT = FileLayout(SinkSettings(), "snappy")
KEY = ("ticker", "ts")
TABLE = pa.concat_tables([bars("AAPL"), bars("SPY")])
VOLUME = TABLE.schema.get_field_index("volume")


def with_volume(*values: float | None, at: int = 0) -> pa.Table:
    volumes = TABLE["volume"].to_pylist()
    volumes[at : at + len(values)] = values
    return TABLE.set_column(VOLUME, pa.field("volume", pa.float64()), pa.array(volumes, pa.float64()))


def compared(published: pa.Table, rebuilt: pa.Table) -> Difference | None:
    return difference(published, rebuilt, KEY, LAYOUT)


def test_equal_rows_are_equal_however_they_lie_in_memory() -> None:
    assert compared(TABLE, TABLE.combine_chunks()) is None
    assert compared(TABLE.slice(0, 0), TABLE.slice(0, 0)) is None


@pytest.mark.parametrize(
    ("published", "rebuilt", "rows", "columns", "first"),
    [
        (
            with_volume(5.0, 6.0),
            with_volume(5.0, 7.0),
            1,
            ("volume",),
            "AAPL 2025-07-01 13:31:00+00:00 has volume 6.0, and its evidence says 7.0",
        ),
        (with_volume(0.0), with_volume(-0.0), 1, ("volume",), "says -0.0"),
        (with_volume(float("nan")), with_volume(None), 1, ("volume",), "has volume nan, and its evidence says None"),
        (TABLE, TABLE.slice(1), 1, (), "AAPL 2025-07-01 13:30:00+00:00 is published, and nothing proves it"),
        (TABLE.slice(0, 8), TABLE, 2, (), "SPY 2025-07-01 13:33:00+00:00 is not published, and should be"),
        (TABLE.slice(0, 0), TABLE, 10, (), "AAPL 2025-07-01 13:30:00+00:00 is not published, and should be"),
        (TABLE.drop_columns(["vwap"]), TABLE, 10, ("vwap",), "its columns are not those of today: vwap"),
    ],
    ids=["value", "minus zero", "nan and null", "too many", "too few", "none", "columns"],
)
def test_the_first_difference_is_named(
    published: pa.Table, rebuilt: pa.Table, rows: int, columns: tuple[str, ...], first: str
) -> None:
    found = compared(published, rebuilt)
    assert found is not None
    assert (found.rows, found.columns) == (rows, columns)
    assert first in found.first


def test_nan_is_nan() -> None:
    assert compared(with_volume(float("nan")), with_volume(float("nan"))) is None


def test_lists_are_compared_whole() -> None:
    kind = pa.list_(pa.float64(), 2)
    one, other = (TABLE.append_column("mom", pa.array([[1.0, last]] * 10, kind)) for last in (2.0, 3.0))
    found = compared(one, other)
    assert found is not None
    assert found.columns == ("mom",)
