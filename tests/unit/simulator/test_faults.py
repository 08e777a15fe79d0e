import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bellwether.errors import ConfigError
from bellwether.simulator.answers import REFUSALS
from bellwether.simulator.delivery import answer_instead
from bellwether.simulator.faults import TRANSIENT, Chance, Fault, FaultPlan, Happening, load_faults

DAY = date(2024, 7, 2)
PATH = "/v2/aggs/ticker/SPY/range/1/minute/1/2"


def strikes(plan: FaultPlan, count: int, ticker: str = "SPY", key: str = "k", day: date = DAY) -> list[str | None]:
    struck = [plan.strike(Happening(PATH, ticker, day, key)) for _ in range(count)]
    return [fault and fault.kind for fault in struck]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(kind="html"), ["html", None, None, None]),
        (Fault(kind="html", count=2), ["html", "html", None, None]),
        (Fault(kind="html", nth=2), [None, "html", None, None]),
        (Fault(kind="html", nth=2, count=2), [None, "html", "html", None]),
        (Fault(kind="html", nth=3, count=None), [None, None, "html", "html"]),
    ],
)
def test_a_switch_strikes_from_the_nth_match_count_times(fault: Fault, expected: list[str | None]) -> None:
    assert strikes(FaultPlan([fault]), 4) == expected


@pytest.mark.parametrize(
    ("fault", "matches"),
    [
        (Fault(kind="html", path="/v2/aggs"), True),
        (Fault(kind="html", path="/v1"), False),
        (Fault(kind="html", ticker="SPY"), True),
        (Fault(kind="html", ticker="AAPL"), False),
        (Fault(kind="html", session=DAY), True),
        (Fault(kind="html", session=date(2024, 7, 3)), False),
        (Fault(kind="html", key="k"), True),
        (Fault(kind="html", key="other"), False),
    ],
)
def test_a_switch_strikes_only_what_it_names(fault: Fault, matches: bool) -> None:
    assert strikes(FaultPlan([fault]), 1) == ["html" if matches else None]


def test_requests_of_others_do_not_count() -> None:
    plan = FaultPlan([Fault(kind="html", ticker="SPY", nth=2)])
    assert strikes(plan, 5, ticker="AAPL") == [None] * 5
    assert strikes(plan, 2) == [None, "html"]


def test_of_two_switches_the_first_added_strikes_and_both_count() -> None:
    plan = FaultPlan([Fault(kind="hang")])
    plan.add(Fault(kind="html", count=2))
    assert strikes(plan, 3) == ["hang", "html", None]


def test_a_cleared_plan_strikes_nothing() -> None:
    plan = FaultPlan([Fault(kind="hang", count=None)])
    plan.clear()
    assert strikes(plan, 2) == [None, None]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "explode"}, "unknown kind 'explode'; known: .*hang"),
        ({"kind": "hang", "nth": 0}, "nth counts from 1"),
        ({"kind": "hang", "count": 0}, "at least 1 or null"),
        ({"kind": "server_error", "status": 404}, "499 or 5xx"),
        ({"kind": "hang", "at": "frame"}, "hang strikes at no point of a stream, not at 'frame'"),
        ({"kind": "duplicate", "at": "auth"}, "duplicate strikes at frame, not at 'auth'"),
        ({"kind": "mute", "ticker": "SPY"}, "a stream has no ticker"),
        ({"kind": "close", "code": 1002}, "1000, 1001, 1008, 1011, got 1002"),
        ({"kind": "hang", "since_utc": datetime(2024, 7, 2)}, "needs an offset"),  # noqa: DTZ001 - the error
    ],
)
def test_an_impossible_switch_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(**fields)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("faults.yaml", "- {kind: rate_limited, ticker: SPY, session: 2024-07-02, count: 2, retry_after_s: 3}"),
        (
            "faults.json",
            '[{"kind": "rate_limited", "ticker": "SPY", "session": "2024-07-02", "count": 2, "retry_after_s": 3}]',
        ),
    ],
)
def test_a_plan_is_read_from_yaml_or_json(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    plan = load_faults(tmp_path / name)
    assert plan.strike(Happening(PATH, "SPY", DAY, "k")) == Fault(
        kind="rate_limited", ticker="SPY", session=DAY, count=2, retry_after_s=3
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {kind: hang, knid: 1}", "knid"),
        ("- {kind: explode}", "unknown kind"),
        ("kind: hang", "array"),
        ("- [", "faults.yaml"),
    ],
)
def test_a_wrong_fault_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "faults.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"faults\.yaml") as error:
        load_faults(tmp_path / "faults.yaml")
    assert message in str(error.value)


def test_an_absent_fault_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        load_faults(tmp_path / "absent.yaml")


@pytest.mark.parametrize("kind", sorted(REFUSALS))
def test_a_refusal_carries_the_vendors_fields(kind: str) -> None:
    answer = answer_instead(Fault(kind=kind), "r1")
    assert answer is not None
    body = json.loads(answer.body)
    assert answer.status == REFUSALS[kind].http_status
    assert body["request_id"] == "r1"
    assert body["status"] in {"ERROR", "NOT_AUTHORIZED", "NOT_FOUND"}
    assert ("message" in body) is (body["status"] != "ERROR")
    assert "Retry-After" not in answer.headers


def test_parameters_of_a_refusal() -> None:
    limited = answer_instead(Fault(kind="rate_limited", retry_after_s=7), "r1")
    assert limited is not None
    assert limited.headers["Retry-After"] == "7"
    failed = answer_instead(Fault(kind="server_error", status=503), "r1")
    assert failed is not None
    assert failed.status == 503


@pytest.mark.parametrize(
    ("kind", "status", "start"),
    [("html", 200, b"<!DOCTYPE"), ("bad_gateway", 502, b"<!DOCTYPE"), ("rate_limited_empty", 429, b"")],
)
def test_answers_that_are_no_json(kind: str, status: int, start: bytes) -> None:
    answer = answer_instead(Fault(kind=kind), "r1")
    assert answer is not None
    assert answer.status == status
    assert answer.body.startswith(start)


@pytest.mark.parametrize("kind", ["hang", "drip", "cut_gzip", "duplicate_bar"])
def test_other_faults_leave_the_answer_to_the_endpoint(kind: str) -> None:
    assert answer_instead(Fault(kind=kind), "r1") is None


def drawn(chance: Chance, count: int = 400) -> list[str | None]:
    return strikes(FaultPlan(chances=[chance]), count)


def test_chance_strikes_its_share_the_same_for_the_same_seed() -> None:
    struck = drawn(Chance(rate=0.1, seed=7))
    assert struck == drawn(Chance(rate=0.1, seed=7)) != drawn(Chance(rate=0.1, seed=8))
    kinds = [kind for kind in struck if kind]
    assert 20 < len(kinds) < 60
    assert set(kinds) <= set(TRANSIENT)


@pytest.mark.parametrize(("rate", "kinds"), [(0.0, {None}), (1.0, {"reset"})])
def test_chance_at_its_ends(rate: float, kinds: set[str | None]) -> None:
    assert set(drawn(Chance(rate=rate, kinds=("reset",)))) == kinds


def test_a_switch_goes_before_chance_and_does_not_shift_it() -> None:
    alone = drawn(Chance(rate=0.3), 20)
    plan = FaultPlan([Fault(kind="hang", count=3)], [Chance(rate=0.3)])
    assert strikes(plan, 20) == ["hang"] * 3 + alone[3:]
    plan.clear()
    assert strikes(plan, 20) == [None] * 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 1.5}, "share from 0 to 1"),
        ({"rate": 0.1, "kinds": ()}, "at least one"),
        ({"rate": 0.1, "kinds": ("x",)}, "unknown kind"),
        ({"rate": 0.1, "kinds": ("hang", "mute")}, "not both"),
    ],
)
def test_an_impossible_chance_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        msgspec.convert(arguments, Chance)


def passed(plan: FaultPlan, *points: str) -> list[str | None]:
    struck = [plan.strike(Happening("/stocks", session=DAY, key="k", at=point)) for point in points]
    return [fault and fault.kind for fault in struck]


def test_a_switch_of_streams_watches_its_point_and_no_request() -> None:
    plan = FaultPlan([Fault(kind="abort", at="subscribe", path="/stocks"), Fault(kind="duplicate", nth=2)])
    assert strikes(plan, 2) == [None, None]
    assert passed(plan, "connected", "auth", "frame", "subscribe", "frame", "frame") == [
        None,
        None,
        None,
        "abort",
        "duplicate",
        None,
    ]


def test_a_switch_of_requests_watches_no_stream() -> None:
    plan = FaultPlan([Fault(kind="html", count=None)])
    assert passed(plan, "connected", "frame") == [None, None]


def test_a_switch_with_a_moment_counts_from_there_on() -> None:
    moment = datetime(2024, 7, 2, 15, tzinfo=UTC)
    plan = FaultPlan([Fault(kind="html", since_utc=moment, nth=2)])
    times = [moment + timedelta(seconds=seconds) for seconds in (-2, -1, 0, 1, 2)]
    assert [bool(plan.strike(Happening(PATH, now_utc=now))) for now in times] == [False, False, False, True, False]
    assert plan.strike(Happening(PATH)) is None


def test_chance_of_streams_has_its_own_sequence_and_points() -> None:
    kinds = ("auth_failed", "close", "duplicate")
    streams, requests = Chance(rate=0.5, seed=7, kinds=kinds), Chance(rate=0.5, seed=7)
    alone, both = FaultPlan(chances=[streams]), FaultPlan(chances=[streams, requests])
    points = ("connected", "frame", "auth") * 50
    struck = passed(alone, *points)
    assert set(struck[::3]) == {None, "close"}
    assert set(struck[1::3]) == {None, "close", "duplicate"}
    assert set(struck[2::3]) == {None, "close", "auth_failed"}
    assert strikes(both, 50) == strikes(FaultPlan(chances=[requests]), 50)
    assert passed(both, *points) == struck
