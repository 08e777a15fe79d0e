"""Rows against a contract: every way to differ has its name, and one odd row is none."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bellwether.config import Config, Contract
from bellwether.drift.change import MANY_NAMES, MANY_WORDS, OTHERS, Change, Kind, accepted, compared_anew
from bellwether.drift.forms import ROWS, looser
from bellwether.drift.shape import differences, fit
from bellwether.errors import DriftError
from bellwether.sources.loosened import loosened

CONTRACTS = Config.load(Path(__file__).parents[3] / "config", {}).contracts
NOW = datetime(2025, 7, 2, tzinfo=UTC)
BAR = {"v": 100.0, "vw": 10.1, "o": 10.0, "c": 10.2, "h": 10.3, "l": 9.9, "t": 1_751_376_600_000, "n": 7}
SNAPSHOT = {
    "details": {
        "ticker": "O:SPY250703C00600000",
        "contract_type": "call",
        "exercise_style": "american",
        "expiration_date": "2025-07-03",
        "strike_price": 600,
        "shares_per_contract": 100,
    },
    "underlying_asset": {"ticker": "SPY", "price": 612.5},
    "greeks": {"delta": 0.9, "gamma": 0.01, "theta": -0.2, "vega": 0.1},
}
ARTICLE = {
    "id": "a",
    "title": "t",
    "published_utc": "2025-07-01T12:00:00Z",
    "article_url": "http://x",
    "tickers": ["A"],
    "description": "d",
    "publisher": {"name": "p"},
    "insights": [{"ticker": "A", "sentiment": "positive"}],
}


def rows(row: dict[str, Any], change: Callable[[dict[str, Any]], object], count: int = 10) -> list[dict[str, Any]]:
    changed = [deepcopy(row) for _ in range(count)]
    for each in changed:
        change(each)
    return changed


def rename(place: dict[str, Any], old: str, new: str) -> None:
    place[new] = place.pop(old)


CASES: list[tuple[str, dict[str, Any], Callable[[dict[str, Any]], object], list[tuple[str, Kind, str]]]] = [
    ("equities", BAR, lambda r: None, []),
    ("equities", BAR, lambda r: r.update(otc=True), []),
    ("equities", BAR, lambda r: r.update(v=100, n=None), []),
    ("equities", BAR, lambda r: rename(r, "v", "vol"), [("v", Kind.RENAMED, "vol")]),
    ("equities", BAR, lambda r: rename(r, "vw", "vwap"), [("vw", Kind.RENAMED, "vwap")]),
    (
        "equities",
        BAR,
        lambda r: (rename(r, "o", "open"), rename(r, "c", "close")),
        [("c", Kind.RENAMED, "close"), ("o", Kind.RENAMED, "open")],
    ),
    ("equities", BAR, lambda r: (r.pop("v"), r.update(x="text")), [("v", Kind.REMOVED, ""), ("x", Kind.ADDED, "text")]),
    ("equities", BAR, lambda r: r.update(v=None), [("v", Kind.REMOVED, "")]),
    ("equities", BAR, lambda r: r.update(c="10.2"), [("c", Kind.RETYPED, "text")]),
    ("equities", BAR, lambda r: r.update(n={"of": 7}), [("n", Kind.RETYPED, "object that is no integer")]),
    ("equities", BAR, lambda r: r.update(c="n/a"), [("c", Kind.RETYPED, "text that is no number")]),
    ("equities", BAR, lambda r: r.update(n=7.5), [("n", Kind.RETYPED, "number that is no integer")]),
    ("equities", BAR, lambda r: r.update(t=r["t"] * 1_000), [("t", Kind.RESCALED, "0.001")]),
    ("equities", BAR, lambda r: r.update(t=r["t"] * 1_000_000), [("t", Kind.RESCALED, "1e-06")]),
    ("equities", BAR, lambda r: r.update(t=r["t"] // 1000), [("t", Kind.RESCALED, "1000")]),
    ("options_snapshot", SNAPSHOT, lambda r: None, []),
    ("options_snapshot", SNAPSHOT, lambda r: r.pop("greeks"), []),
    (
        "options_snapshot",
        SNAPSHOT,
        lambda r: rename(r["details"], "strike_price", "strike"),
        [("details.strike_price", Kind.RENAMED, "strike")],
    ),
    (
        "options_snapshot",
        SNAPSHOT,
        lambda r: rename(r["greeks"], "delta", "dlt"),
        [("greeks.delta", Kind.RENAMED, "dlt")],
    ),
    (
        "options_snapshot",
        SNAPSHOT,
        lambda r: r.update(fair={"value": 1}),
        [("fair", Kind.ADDED, "object")],
    ),
    ("news", ARTICLE, lambda r: None, []),
    (
        "news",
        ARTICLE,
        lambda r: r["insights"][0].update(sentiment="mixed"),
        [("insights.sentiment", Kind.WORDS, "mixed")],
    ),
    (
        "news",
        ARTICLE,
        lambda r: r["insights"].extend([{"ticker": "B", "sentiment": "mixed"}, {"ticker": "C", "sentiment": "wary"}]),
        [("insights.sentiment", Kind.WORDS, "mixed"), ("insights.sentiment", Kind.WORDS, "wary")],
    ),
    (
        "news",
        ARTICLE,
        lambda r: r["insights"].extend({"ticker": f"T{n}", "sentiment": f"w{n}"} for n in range(9)),
        [("insights.sentiment", Kind.WORDS, MANY_WORDS)],
    ),
    ("news", ARTICLE, lambda r: r["insights"][0].pop("sentiment"), [("insights.sentiment", Kind.REMOVED, "")]),
    (
        "news",
        ARTICLE,
        lambda r: r.update(published_utc=1_751_371_200),
        [("published_utc", Kind.RETYPED, "integer")],
    ),
    (
        "options_snapshot",
        SNAPSHOT,
        lambda r: r["details"].update(expiration_date="2025-07-03T00:00:00Z"),
        [("details.expiration_date", Kind.RETYPED, "text")],
    ),
    (
        "options_snapshot",
        SNAPSHOT,
        lambda r: r["details"].update(expiration_date="3 July 2025"),
        [("details.expiration_date", Kind.RETYPED, "text that is no date")],
    ),
    (
        "options_snapshot",
        SNAPSHOT,
        lambda r: r.update(
            last_quote={"bid": 1.0, "ask": 2.0, "bid_size": 1, "ask_size": 1, "last_updated": 1_751_371_200_000}
        ),
        [("last_quote.last_updated", Kind.RESCALED, "1e+06")],
    ),
]


@pytest.mark.parametrize(("dataset", "row", "change", "expected"), CASES)
def test_a_difference_is_named_by_field_and_kind(
    dataset: str, row: dict[str, Any], change: Any, expected: list[tuple[str, Kind, str]]
) -> None:
    found = differences(dataset, rows(row, change), CONTRACTS[dataset], NOW)
    assert [(each.field, each.kind, each.to) for each in found] == expected


def test_less_than_half_of_the_rows_is_a_broken_answer_and_no_change() -> None:
    some = rows(BAR, lambda r: r.update(c="10.2"), 4) + rows(BAR, lambda r: None, 6)
    assert differences("equities", some, CONTRACTS["equities"], NOW) == []


@pytest.mark.parametrize(
    ("dataset", "row", "change"),
    [
        ("equities", BAR, lambda r: rename(r, "v", "vol")),
        ("equities", BAR, lambda r: (rename(r, "o", "open"), rename(r, "c", "close"))),
        ("equities", BAR, lambda r: r.update(vol=r["v"], v=None)),
        ("equities", BAR, lambda r: r.update(c="10.2", n="7")),
        ("equities", BAR, lambda r: r.update(t=r["t"] * 1_000_000)),
        ("equities", BAR, lambda r: r.update(t=r["t"] // 1000)),
        ("equities", BAR, lambda r: r.update(n=7.0)),
        (
            "options_snapshot",
            SNAPSHOT,
            lambda r: r["details"].update(expiration_date="2025-07-03T00:00:00-04:00", contract_type="call"),
        ),
        ("news", ARTICLE, lambda r: r.update(published_utc=1_751_371_200_000)),
        ("options_snapshot", SNAPSHOT, lambda r: rename(r["details"], "strike_price", "strike")),
        ("news", ARTICLE, lambda r: rename(r["insights"][0], "ticker", "symbol")),
    ],
)
def test_what_is_accepted_differs_no_more_and_is_read_as_what_it_was(
    dataset: str, row: dict[str, Any], change: Callable[[dict[str, Any]], object]
) -> None:
    changed, contract = rows(row, change), CONTRACTS[dataset]
    for each in differences(dataset, changed, contract, NOW):
        contract = accepted(contract, each, since=date(2025, 7, 1), since_utc=NOW)
    assert differences(dataset, changed, contract, NOW) == []
    fit(changed, contract, NOW)
    kind: Any = list[ROWS[dataset]]  # type: ignore[misc]
    assert msgspec.convert(changed, kind) == msgspec.convert(rows(row, lambda _: None), kind)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Change("equities", "c", Kind.REMOVED), "The dataset has no rows without it"),
        (Change("equities", "c", Kind.RETYPED, "text that is no number"), "Nothing says which number that is"),
        (Change("equities", "n", Kind.RETYPED, "object that is no integer"), "Nothing says which integer that is"),
        (Change("dividends", "dividend_type", Kind.WORDS, MANY_WORDS), "It is no choice of words any more"),
    ],
)
def test_what_no_contract_can_say_is_refused_with_why_and_what_to_do(change: Change, why: str) -> None:
    contract = CONTRACTS[change.dataset]
    with pytest.raises(DriftError, match=rf"{why}\. .*fields\.{change.field}\.aliases in config/contracts/") as refused:
        accepted(contract, change, since=date(2025, 7, 1), since_utc=NOW)
    assert "the decoder must learn it" in str(refused.value)
    with pytest.raises(DriftError, match="cannot be taken as it is"):
        compared_anew(contract, change, date(2025, 7, 1))


def test_times_in_another_unit_cannot_be_taken_as_they_are() -> None:
    with pytest.raises(DriftError, match="cannot be taken as it is"):
        compared_anew(CONTRACTS["equities"], Change("equities", "t", Kind.RESCALED, "1e-06"), NOW.date())


@pytest.mark.parametrize(
    ("dataset", "row", "change"),
    [
        ("news", ARTICLE, lambda r: r["insights"][0].update(sentiment="mixed")),
        ("news", ARTICLE, lambda r: r["insights"][0].pop("sentiment")),
        (
            "options_snapshot",
            SNAPSHOT | {"last_trade": {"price": 1.0, "size": 2}},
            lambda r: (r["last_trade"].pop("size"), r["details"].update(exercise_style="asian")),
        ),
    ],
)
def test_what_is_accepted_of_words_and_lacking_fields_is_read_as_it_came(
    dataset: str, row: dict[str, Any], change: Callable[[dict[str, Any]], object]
) -> None:
    changed, contract = rows(row, change), CONTRACTS[dataset]
    kind = ROWS[dataset]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(changed[0], kind)
    for each in differences(dataset, changed, contract, NOW):
        contract = accepted(contract, each, since=NOW.date(), since_utc=NOW)
    assert differences(dataset, changed, contract, NOW) == []
    read = msgspec.convert(changed[0], loosened(kind, looser(dataset, contract)))
    assert isinstance(read, kind)
    said = msgspec.to_builtins(read)
    for name in ("insights", "last_trade"):
        if name in changed[0]:
            [first, *_] = changed[0][name] if isinstance(changed[0][name], list) else [changed[0][name]]
            [as_read, *_] = said[name] if isinstance(said[name], list) else [said[name]]
            assert first.items() <= as_read.items()


def test_a_word_beyond_those_accepted_is_another_change() -> None:
    contract = accepted(
        CONTRACTS["dividends"],
        Change("dividends", "dividend_type", Kind.WORDS, "XX"),
        since=NOW.date(),
        since_utc=NOW,
    )
    row = {"id": "d", "ticker": "A", "cash_amount": 1.0, "ex_dividend_date": "2025-07-01", "dividend_type": "XX"}
    some = [row, row | {"dividend_type": "YY"}]
    assert [each.to for each in differences("dividends", some, contract, NOW)] == ["YY"]


def test_what_is_lenient_and_says_nothing_of_its_type_is_a_change_that_cannot_be_approved() -> None:
    contract = accepted(
        CONTRACTS["equities"], Change("equities", "c", Kind.RETYPED, "text"), since=NOW.date(), since_utc=NOW
    )
    assert differences("equities", rows(BAR, lambda r: r.update(c="10.2")), contract, NOW) == []
    [change] = differences("equities", rows(BAR, lambda r: r.update(c="n/a")), contract, NOW)
    assert change.to == "text that is no number"


def test_a_unit_of_time_that_changes_back_is_a_change_again() -> None:
    nanoseconds = rows(BAR, lambda r: r.update(t=r["t"] * 1_000_000))
    [change] = differences("equities", nanoseconds, CONTRACTS["equities"], NOW)
    contract = accepted(CONTRACTS["equities"], change, since=NOW.date(), since_utc=NOW)
    assert differences("equities", nanoseconds, contract, NOW) == []
    later = NOW + timedelta(days=30)
    [back] = differences("equities", rows(BAR, lambda r: None), contract, later)
    assert (back.kind, back.to) == (Kind.RESCALED, "1e+06")
    contract = accepted(contract, back, since=later.date(), since_utc=later)
    assert [scale.factor for scale in contract.fields["t"].scales] == [1e-06, 1.0]


def test_of_more_names_than_anybody_reads_it_is_told_that_there_are() -> None:
    many = {f"x{number:05d}": 1 for number in range(5_000)} | {"y" * 100_000: 1}
    found = differences("equities", rows(BAR, lambda r: r.update(many), 2), CONTRACTS["equities"], NOW)
    assert len(found) == 51
    assert (found[0].field, found[0].to) == (OTHERS, MANY_NAMES)


def test_a_field_that_is_called_otherwise_renames_no_other_of_its_column() -> None:
    contract = accepted(
        CONTRACTS["rates"], Change("rates", "yield_1_month", Kind.RENAMED, "m1"), since=NOW.date(), since_utc=NOW
    )
    assert [name for name, field in contract.fields.items() if field.aliases] == ["yield_1_month"]
    assert Contract.model_validate(contract.model_dump()) == contract


def test_a_number_that_no_unit_can_hold_is_no_number() -> None:
    contract = scaled(CONTRACTS["equities"], "100", NOW)
    for huge in (1e308, 10**400):
        with pytest.raises(OverflowError):
            fit(rows(BAR, lambda r, huge=huge: r.update(v=huge)), contract, NOW)  # type: ignore[misc]


def scaled(contract: Contract, factor: str, since_utc: datetime) -> Contract:
    change = Change("equities", "v", Kind.RESCALED, factor)
    return accepted(contract, change, since=since_utc.date(), since_utc=since_utc)


def test_a_unit_holds_from_its_moment_on_and_a_further_change_builds_upon_it() -> None:
    later = datetime(2025, 8, 1, tzinfo=UTC)
    contract = scaled(scaled(CONTRACTS["equities"], "100", NOW), "0.01", later)

    def volume(received_utc: datetime) -> float:
        [row] = rows(BAR, lambda r: r.update(v=0.57), 1)
        fit([row], contract, received_utc)
        return float(row["v"])

    assert (volume(datetime(2025, 7, 1, tzinfo=UTC)), volume(NOW), volume(later)) == (0.57, 57.0, 0.57)


def test_fields_that_become_one_column_share_their_unit() -> None:
    contract = accepted(
        CONTRACTS["rates"], Change("rates", "yield_1_month", Kind.RESCALED, "100"), since=NOW.date(), since_utc=NOW
    )
    row = {"date": "2025-07-01", "yield_1_month": 0.0425, "yield_10_year": 0.0406}
    fit([row], contract, NOW)
    assert row == {"date": "2025-07-01", "yield_1_month": 4.25, "yield_10_year": 4.06}


def test_a_field_that_was_announced_beside_the_old_one_takes_its_place_once_that_is_gone() -> None:
    contract = CONTRACTS["equities"]
    [added] = differences("equities", rows(BAR, lambda r: r.update(vol=r["v"])), contract, NOW)
    contract = accepted(contract, added, since=NOW.date(), since_utc=NOW)
    assert contract.also == ("otc", "vol")
    [renamed] = differences("equities", rows(BAR, lambda r: rename(r, "v", "vol")), contract, NOW)
    contract = accepted(contract, renamed, since=NOW.date(), since_utc=NOW)
    assert (contract.also, contract.fields["v"].aliases) == (("otc",), ("vol",))
