"""What is counted, once each, and what is not."""

import threading
from collections.abc import Iterator

import pytest

from bellwether import meter
from bellwether.errors import NotFound, RateLimited, ServerError, VendorError
from bellwether.meter import MOST_TIMES, Meter, count, note_error, timed, uncounted

URL = "https://api.polygon.io/v2"


@pytest.fixture
def clock_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose first item is the time, seconds."""
    now_s = [100.0]
    monkeypatch.setattr(meter.time, "monotonic", lambda: now_s[0])
    return now_s


@pytest.fixture
def on() -> Iterator[Meter]:
    """Return the meter that is on during the test."""
    yield meter.switch_on()
    meter.switch_off()


def test_nothing_is_counted_while_no_meter_is_on() -> None:
    with timed("read_s"):
        count("rows", 5)
        note_error(ServerError("down", url=URL, status=500))
    found = meter.switch_on()
    meter.switch_off()
    assert (found.rows, found.read_s, found.errors) == (0, 0.0, {})


def test_time_within_a_span_is_that_spans_alone(on: Meter, clock_s: list[float]) -> None:
    with timed("write_s"):
        clock_s[0] += 2
        with timed("read_s"):
            clock_s[0] += 3
    with timed("read_s"):
        clock_s[0] += 1
    assert (on.write_s, on.read_s) == (5.0, 1.0)


def test_a_span_that_fails_counts_and_is_over(on: Meter, clock_s: list[float]) -> None:
    def fail() -> None:
        with timed("vendor_s"):
            assert on.doing == ("vendor_s", 100.0)
            clock_s[0] += 4
            raise ServerError("down", url=URL, status=500)

    with pytest.raises(ServerError):
        fail()
    assert (on.vendor_s, on.doing) == (4.0, None)


def test_what_measures_is_not_measured(on: Meter) -> None:
    with uncounted(), timed("write_s"):
        count("bytes_written", 9)
    count("bytes_written", 1)
    assert (on.bytes_written, on.write_s) == (1, 0.0)


def test_threads_add_to_one_meter(on: Meter) -> None:
    threads = [threading.Thread(target=lambda: [count("rows") for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert on.rows == 4000


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (ServerError("down", url=URL, status=500), 1),
        (RateLimited("slow down", url=URL, status=429), 1),
        (RateLimited("the next turn is in 12 s", url=URL, status=None), 0),  # to wait one's turn is no error
        (NotFound("no such ticker", url=URL, status=404), 0),  # proves something
    ],
)
def test_an_answer_that_is_none_is_an_error(on: Meter, error: VendorError, counted: int) -> None:
    note_error(error)
    assert sum(found.count for found in on.errors.values()) == counted


def test_of_very_many_errors_all_are_counted_and_the_first_ones_times_kept(on: Meter) -> None:
    for number in range(MOST_TIMES + 5):
        note_error(ServerError(f"down {number}", url=URL, status=500))
    found = on.errors["ServerError"]
    assert (found.count, len(found.times_utc), found.words) == (MOST_TIMES + 5, MOST_TIMES, "down 0")
    assert found.last_utc >= found.times_utc[-1]
