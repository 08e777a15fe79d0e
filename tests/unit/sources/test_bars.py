import json
import math
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bellwether.errors import BadResponse, OutsideHistory, Truncated
from bellwether.schemas import EQUITIES, INDEX_BARS
from bellwether.sources.aggregates import BarChain
from bellwether.sources.bars import decode_aggregates
from bellwether.sources.raw import RawPage, Request

URL = "https://api.polygon.io/v2/aggs/ticker/SPY/range/1/minute/1/2"
T0 = 1_720_000_800_000
PAGE = RawPage(Request("aggregates", {}), "c", 0, URL, 200, "r1", {}, datetime(2024, 7, 3, 21, tzinfo=UTC), b"")
BAR = {"v": 10.5, "vw": 2.25, "o": 1.5, "c": 2.5, "h": 3, "l": 1, "t": T0, "n": 7}


def bar(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (BAR | changes).items() if value is not ...}


def page(bars: Any = ..., **changes: Any) -> dict[str, Any]:
    count = len(bars) if isinstance(bars, list) else 0
    content = {
        "ticker": "SPY",
        "queryCount": count,
        "resultsCount": count,
        "adjusted": False,
        "results": bars,
        "status": "OK",
        "request_id": "r1",
        "count": count,
    }
    return {name: value for name, value in (content | changes).items() if value is not ...}


def body(bars: Any = ..., **changes: Any) -> bytes:
    return json.dumps(page(bars, **changes)).encode()


def decode(content: bytes) -> pa.Table:
    return decode_aggregates(content, "SPY", url=URL, request_id="h1")[1]


def test_page_becomes_a_table_of_the_schema() -> None:
    envelope, table = decode_aggregates(body([bar(), bar(t=T0 + 60_000, o=2)], next_url="u"), "SPY", url=URL)
    assert (envelope.status, envelope.request_id, envelope.next_url, envelope.results_count) == ("OK", "r1", "u", 2)
    table.validate(full=True)
    assert table.schema == EQUITIES
    assert table.column("ts").cast(pa.int64()).to_pylist() == [T0, T0 + 60_000]
    row = table.slice(0, 1).drop(["ts"]).to_pylist()[0]
    assert row == {
        "ticker": "SPY",
        **{"open": 1.5, "high": 3.0, "low": 1.0, "close": 2.5, "volume": 10.5, "vwap": 2.25, "transactions": 7},
    }


@pytest.mark.parametrize("content", [body(), body([]), body(None), body(queryCount=...), body(count=...)])
def test_page_that_counts_zero_is_a_proven_empty(content: bytes) -> None:
    assert decode(content).equals(EQUITIES.empty_table())


@pytest.mark.parametrize("full", [0, 500], ids=["on a small page", "on a large one"])
def test_missing_and_null_vwap_and_transactions_are_null(full: int) -> None:
    gaps = [bar(vw=..., n=...), bar(vw=None, n=None), bar(vw=None), bar(n=None)]
    table = decode(body([bar()] * full + gaps))
    assert table["vwap"].to_pylist() == [2.25] * full + [None, None, None, 2.25]
    assert table["transactions"].to_pylist() == [7] * full + [None, None, 7, None]


def test_unknown_fields_and_otc_are_ignored() -> None:
    assert decode(body([bar(otc=True, dv="10.5", x={"y": [1]})], more={"a": 1})).equals(decode(body([bar()])))


def test_equal_times_pass_since_the_gate_judges_duplicates() -> None:
    assert decode(body([bar(), bar(), bar(o=2)])).num_rows == 3


REFUSED = {
    "empty body": (b"", Truncated, "truncated"),
    "cut JSON": (body([bar()])[:-10], Truncated, "truncated"),
    "HTML": (b"<html><title>Maintenance</title></html>", BadResponse, "<html><title>Maintenance</title></html>"),
    "bare array": (b"[]", BadResponse, "Expected `object`"),
    "bare null": (b"null", BadResponse, "Expected `object`"),
    "trailing text": (body() + b"x", BadResponse, "trailing"),
    "deep JSON": (b'{"x":' + b"[" * 200_000, BadResponse, "not readable"),
    "invalid UTF-8": (body(status="@").replace(b"@", b"\xff"), BadResponse, "not readable"),
    "status ERROR": (body(status="ERROR", error="failed to read"), BadResponse, "failed to read"),
    "status ERROR, message": (body(status="NOT_AUTHORIZED", message="upgrade"), BadResponse, "upgrade"),
    "status missing": (body(status=...), BadResponse, "status"),
    "other ticker": (body([bar()], ticker="AAPL"), BadResponse, "asked for SPY, answered for AAPL"),
    "no ticker": (body([bar()], ticker=...), BadResponse, "answered for None"),
    "adjusted": (body([bar()], adjusted=True), BadResponse, "adjusted"),
    "results missing, count": (body(resultsCount=3), BadResponse, "resultsCount 3"),
    "results missing, queryCount": (body(queryCount=3), BadResponse, "queryCount 3"),
    "results missing, no count": (body(resultsCount=...), BadResponse, "resultsCount None"),
    "results missing, next_url": (body(next_url="https://x/"), BadResponse, "no bars"),
    "results empty, count": (body([], resultsCount=3), BadResponse, "resultsCount 3"),
    "bars without count": (body([bar()], resultsCount=...), BadResponse, "without a resultsCount"),
    "fewer bars than declared": (body([bar()], resultsCount=2), Truncated, "declares 2 bars, holds 1"),
    "more bars than declared": (body([bar()], resultsCount=0), Truncated, "declares 0 bars, holds 1"),
    "absurd count": (body([bar()], resultsCount=10**9), Truncated, "declares 1000000000 bars"),
    "descending": (body([bar(t=T0 + 1), bar()]), BadResponse, "ascending"),
    "results an object": (body({"a": 1}), BadResponse, "$.results"),
    "a null bar": (body([None], resultsCount=1), BadResponse, "$.results[0]"),
    "NaN": (body([bar(o=math.nan)]), BadResponse, "invalid character"),
    "infinity": (body([bar(vw=math.inf)]), BadResponse, "invalid character"),
    "beyond a double": (body([bar(o="@")]).replace(b'"@"', b"1e999"), BadResponse, "out of range"),
    "t as 1.0": (body([bar(t=1.0)]), BadResponse, "$.results[0].t"),
    "t as text": (body([bar(t="1")]), BadResponse, "$.results[0].t"),
    "t as true": (body([bar(t=True)]), BadResponse, "$.results[0].t"),
    "t beyond 64 bits": (body([bar(t=2**63)]), BadResponse, "64 bits"),
    "n beyond 64 bits": (body([bar(n=2**64)]), BadResponse, "64 bits"),
    "n beyond 64 bits on a large page": (body([bar()] * 500 + [bar(n=2**64)]), BadResponse, "64 bits"),
    "n as 5.0": (body([bar(n=5.0)]), BadResponse, "$.results[0].n"),
    "price as text": (body([bar(c="2.5")]), BadResponse, "$.results[0].c"),
    **{f"{name} missing": (body([bar(**{name: ...})]), BadResponse, f"`{name}`") for name in "tohlcv"},
    **{f"{name} null": (body([bar(**{name: None})]), BadResponse, f"results[0].{name}") for name in "tohlcv"},
}


@pytest.mark.parametrize(("content", "cls", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_vendor_does_not_promise_is_refused(content: bytes, cls: type[BadResponse], words: str) -> None:
    with pytest.raises(BadResponse) as caught:
        decode(content)
    assert type(caught.value) is cls
    assert words in caught.value.message
    assert (caught.value.url, caught.value.status) == (URL, 200)
    assert caught.value.request_id in {"r1", "h1"}


finite = st.floats(allow_nan=False, allow_infinity=False)
number = finite | st.integers(-(2**80), 2**80)
anything = number | st.none() | st.booleans() | st.sampled_from(["", "1", "x"])
count = st.integers(-(2**63), 2**63 - 1)
good_bar = st.fixed_dictionaries(
    {name: number for name in "vochl"} | {"t": count}, optional={"vw": number | st.none(), "n": count | st.none()}
)
any_bar = st.dictionaries(st.sampled_from([*BAR, "otc", "dv"]), anything) | good_bar


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_promised(row: dict[str, Any]) -> bool:
    """Judge a bar by what json.loads makes of it: the oracle."""
    prices = all(isinstance(row.get(name), int | float) and not isinstance(row[name], bool) for name in "vochl")
    vwap = row.get("vw")
    transactions = row.get("n")
    return (
        prices
        and is_whole(row.get("t"))
        and (vwap is None or (isinstance(vwap, int | float) and not isinstance(vwap, bool)))
        and (transactions is None or is_whole(transactions))
        and all(value is None or -(2**63) <= value < 2**63 for value in (row["t"], transactions))
    )


EXTREME = {**BAR, "v": 9007199254740993, "o": 5e-324, "h": 1.7976931348623157e308, "c": -0.0, "l": 0.1 + 0.2}


@given(st.lists(any_bar, max_size=5), st.booleans())
@example([EXTREME], True)
@example([EXTREME], False)
def test_a_body_is_read_as_json_loads_reads_it_or_refused(bars: list[dict[str, Any]], is_large: bool) -> None:
    bars = [BAR | {"t": -(2**63)}] * (100 if is_large else 0) + bars
    content = body(bars)
    loaded = json.loads(content)["results"]
    promised = all(is_promised(row) for row in loaded)
    if promised and [row["t"] for row in loaded] == sorted(row["t"] for row in loaded):
        table = decode(content)
        for column, name in [("open", "o"), ("high", "h"), ("low", "l"), ("close", "c"), ("volume", "v")]:
            assert table[column].to_pylist() == [float(row[name]) for row in loaded]
        assert table["vwap"].to_pylist() == [None if row.get("vw") is None else float(row["vw"]) for row in loaded]
        assert table["transactions"].to_pylist() == [row.get("n") for row in loaded]
        assert table["ts"].cast(pa.int64()).to_pylist() == [row["t"] for row in loaded]
    else:
        with pytest.raises(BadResponse):
            decode(content)


@given(st.data())
def test_a_body_cut_anywhere_is_never_data(data: st.DataObject) -> None:
    content = body([bar(), bar(t=T0 + 60_000)])
    with pytest.raises(BadResponse):
        decode(content[: data.draw(st.integers(0, len(content) - 1))])


def chain() -> BarChain:
    return BarChain("SPY", T0, T0 + 600_000)


def table_of(subject: BarChain) -> pa.Table:
    return subject.answer((PAGE,), 1).table


def next_url(path: str = f"/v2/aggs/ticker/SPY/range/1/minute/{T0}/{T0}", query: str = "cursor=abc") -> str:
    return f"https://api.massive.com:443{path}?{query}"


def test_chain_joins_pages_in_order() -> None:
    subject = chain()
    first = subject.take(body([bar(), bar(t=T0 + 60_000)], next_url=next_url()), url=URL, request_id="h1")
    assert first == ("r1", f"/v2/aggs/ticker/SPY/range/1/minute/{T0}/{T0}?cursor=abc")
    # A page may begin with the bar that ended the one before it.
    assert subject.take(body([bar(t=T0 + 60_000)], request_id=...), url=URL, request_id="h2") == ("h2", None)
    assert table_of(subject)["ts"].cast(pa.int64()).to_pylist() == [T0, T0 + 60_000, T0 + 60_000]
    assert table_of(subject)["ts"].num_chunks == 1
    assert subject.status == "OK"


def test_chain_of_an_empty_page_is_an_empty_table() -> None:
    subject = chain()
    subject.take(body(), url=URL)
    assert table_of(subject).equals(EQUITIES.empty_table())


def test_one_delayed_page_makes_the_answer_delayed() -> None:
    subject = chain()
    subject.take(body([bar()], status="DELAYED", next_url=next_url()), url=URL)
    subject.take(body([bar()]), url=URL)
    assert subject.status == "DELAYED"


@pytest.mark.parametrize("end", [None, "", ...])
def test_null_empty_and_absent_next_url_are_the_end(end: Any) -> None:
    assert chain().take(body([bar()], next_url=end), url=URL)[1] is None


@pytest.mark.parametrize(
    "url",
    [
        "https://api.polygon.io/v2/aggs/ticker/AAPL/range/1/minute/1/2?cursor=a",
        "https://api.polygon.io/v2/aggs/ticker/SPY/range/5/minute/1/2?cursor=a",
        "https://api.polygon.io/v2/aggs/ticker/SPY/range/1/hour/1/2?cursor=a",
        "https://api.polygon.io/v2/aggs/ticker/SPY/range/1/minute/1/2/../../../x?cursor=a",
        "https://api.polygon.io/v2/aggs/ticker/SPY/range/1/minute/%2e%2e/2?cursor=a",
        "https://api.polygon.io/v3/reference/tickers?cursor=a",
        "https://api.polygon.io/v2/aggs/ticker/SPYX/range/1/minute/1/2",
        "https://api.polygon.io@evil.example",
        "?cursor=a",
        "/",
        "javascript:alert(1)",
        "https://[::1/v2",
    ],
)
def test_next_url_to_anything_but_more_of_the_same_bars_is_refused(url: str) -> None:
    with pytest.raises(BadResponse, match="next_url leads to"):
        chain().take(body([bar()], next_url=url), url=URL)


def test_next_url_seen_before_is_a_loop() -> None:
    subject = chain()
    subject.take(body([bar()], next_url=next_url()), url=URL)
    subject.take(body([bar()], next_url=next_url(query="cursor=def")), url=URL)
    with pytest.raises(BadResponse, match="taken before"):
        subject.take(body([bar()], next_url=next_url()), url=URL)


@pytest.mark.parametrize("offset_ms", [-60_000, 660_000])
def test_bars_outside_the_window_are_refused(offset_ms: int) -> None:
    with pytest.raises(BadResponse, match=r"asked for bars of 2024-07-03T10:00:00\.000 to 2024-07-03T10:10"):
        chain().take(body([bar(t=T0 + offset_ms)]), url=URL)


def test_window_is_widened_to_whole_minutes_as_the_vendor_does() -> None:
    subject = BarChain("SPY", T0 + 30_000, T0 + 90_000)
    assert subject.take(body([bar(), bar(t=T0 + 60_000)]), url=URL) == ("r1", None)


def test_page_that_goes_back_in_time_is_refused_and_leaves_the_chain_as_it_was() -> None:
    subject = chain()
    subject.take(body([bar(t=T0 + 60_000)], next_url=next_url()), url=URL)
    with pytest.raises(BadResponse, match="page starts at 2024-07-03T10:00"):
        subject.take(body([bar()]), url=URL)
    subject.take(body([bar(t=T0 + 120_000)]), url=URL)
    assert table_of(subject).num_rows == 2


def test_a_time_beyond_any_calendar_is_refused_and_named() -> None:
    with pytest.raises(BadResponse, match="answered with"):
        chain().take(body([bar(t=2**62)]), url=URL)


def test_index_bars_have_neither_volume_nor_vwap_nor_transactions() -> None:
    content = body([{name: BAR[name] for name in "ochlt"}], ticker="I:VIX", adjusted=...)
    table = decode_aggregates(content, "I:VIX", url=URL)[1]
    assert table.schema == INDEX_BARS
    assert table.drop(["ts"]).to_pylist() == [{"ticker": "I:VIX", "open": 1.5, "high": 3.0, "low": 1.0, "close": 2.5}]
    with pytest.raises(BadResponse, match="64 bits"):
        decode_aggregates(body([bar(t=2**63)], ticker="I:VIX"), "I:VIX", url=URL)


def test_an_index_is_not_asked_for_adjustment_and_a_stock_is_asked_for_none() -> None:
    assert BarChain("I:VIX", T0, T0).parameters == {"sort": "asc", "limit": "50000"}
    assert BarChain("O:SPY240119C00470000", T0, T0).parameters["adjusted"] == "false"


DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("first_day", "clipped"), [(-1, False), (0, True), (3, True)], ids=["before the edge", "at the edge", "behind it"]
)
def test_an_answer_that_begins_where_a_plans_history_does_is_clipped(first_day: int, clipped: bool) -> None:
    edge_ms = int(datetime(2022, 7, 3, tzinfo=UTC).timestamp() * 1000)  # two years before the answer
    subject = BarChain("SPY", edge_ms - 10 * DAY_MS, edge_ms + 10 * DAY_MS)
    subject.take(body([bar(t=edge_ms + first_day * DAY_MS)]), url=URL)
    if clipped:
        with pytest.raises(OutsideHistory, match=r"with 2 years of history; ask for nothing before 2022-07-04"):
            table_of(subject)
    else:
        assert table_of(subject).num_rows == 1


def test_a_plans_history_ends_on_28_february_when_that_year_has_no_29th() -> None:
    edge_ms = int(datetime(2022, 2, 28, tzinfo=UTC).timestamp() * 1000)
    subject = BarChain("SPY", edge_ms - DAY_MS, edge_ms + DAY_MS)
    subject.take(body([bar(t=edge_ms)]), url=URL)
    leap_day = RawPage(Request("aggregates", {}), "c", 0, URL, 200, "r1", {}, datetime(2024, 2, 29, tzinfo=UTC), b"")
    with pytest.raises(OutsideHistory):
        subject.answer((leap_day,), 1)
