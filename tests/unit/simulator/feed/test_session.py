"""What is said on a connection, message by message."""

import json
from typing import Any

import pytest

from bellwether.simulator.feed.outbox import Close, Send, Step
from bellwether.simulator.feed.session import Admission, Session
from bellwether.simulator.feed.topics import MOST_QUOTED_CONTRACTS, parse_topics

ADMISSIONS = {"good": Admission.ADMITTED, "bad": Admission.REFUSED, "second": Admission.ONE_TOO_MANY}


def session(cluster: str = "stocks", key: str = "good") -> Session:
    subject = Session(cluster, lambda given: ADMISSIONS[given])
    if key:
        say(subject, "auth", key)
    return subject


def say(subject: Session, action: str, params: str) -> list[Any]:
    return plain(subject.receive(json.dumps({"action": action, "params": params})).steps)


def plain(steps: tuple[Step, ...]) -> list[Any]:
    """Return statuses as (status, message), closes as their code."""
    told: list[Any] = []
    for step in steps:
        assert isinstance(step, Send | Close)
        if isinstance(step, Close):
            told.append(step.code)
        else:
            (event,) = json.loads(step.frame)
            assert event.pop("ev") == "status"
            told.append((event["status"], event["message"]))
    return told


def topics(subject: Session) -> set[str]:
    return set(map(str, subject.topics))


def test_a_good_key_is_admitted() -> None:
    assert say(session(key=""), "auth", "good") == [("auth_success", "authenticated")]


def test_a_wrong_key_is_refused_and_the_connection_closed() -> None:
    subject = session(key="")
    assert say(subject, "auth", "bad") == [("auth_failed", "authentication failed"), 1008]
    assert not subject.authenticated


def test_one_connection_too_many_is_told_so_after_its_key_was_accepted() -> None:
    success, (status, message), code = say(session(key=""), "auth", "second")
    assert success == ("auth_success", "authenticated")
    assert (status, code) == ("max_connections", 1008)
    assert message.startswith("Maximum number of websocket connections exceeded.")


def test_an_admitted_connection_may_send_its_key_again() -> None:
    assert say(session(), "auth", "good") == [("auth_success", "authenticated")]


def test_every_topic_is_acknowledged_by_itself_and_spaces_do_not_matter() -> None:
    subject = session()
    assert say(subject, "subscribe", "AM.SPY, A.*,T.BRK.B") == [
        ("success", "subscribed to: AM.SPY"),
        ("success", "subscribed to: A.*"),
        ("success", "subscribed to: T.BRK.B"),
    ]
    assert topics(subject) == {"AM.SPY", "A.*", "T.BRK.B"}
    assert say(subject, "unsubscribe", "A.*") == [("success", "unsubscribed to: A.*")]
    assert topics(subject) == {"AM.SPY", "T.BRK.B"}


@pytest.mark.parametrize(
    ("cluster", "topic"), [("stocks", "V.SPY"), ("indices", "T.I:VIX"), ("stocks", "SPY"), ("stocks", "AM.")]
)
def test_a_topic_the_cluster_lacks_is_an_error_and_others_hold(cluster: str, topic: str) -> None:
    subject = session(cluster)
    refused, good = say(subject, "subscribe", f"{topic},AM.X")
    assert refused[0] == "error"
    assert good == ("success", "subscribed to: AM.X")
    assert topics(subject) == {"AM.X"}


def test_without_a_key_nothing_can_be_subscribed_to() -> None:
    subject = session(key="")
    ((status, _),) = say(subject, "subscribe", "AM.SPY")
    assert (status, topics(subject)) == ("error", set())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"action":1}', '{"action":"dance","params":""}', b"\x00\xff"])
def test_what_cannot_be_understood_is_an_error_and_no_more(text: str | bytes) -> None:
    subject = session()
    ((status, _),) = plain(subject.receive(text).steps)
    assert status == "error"
    assert say(subject, "subscribe", "AM.SPY")[0][0] == "success"


def test_quotes_are_to_be_had_of_a_thousand_contracts() -> None:
    subject = session("options")
    many = ",".join(f"Q.O:X240119C{number:08d}" for number in range(MOST_QUOTED_CONTRACTS + 1))
    *acks, last = say(subject, "subscribe", many)
    assert {status for status, _ in acks} == {"success"}
    assert last[0] == "error"
    assert len(subject.topics) == MOST_QUOTED_CONTRACTS
    assert say(subject, "subscribe", "AM.O:X240119C00000001")[0][0] == "success"
    assert say(subject, "subscribe", "Q.O:X240119C00000001")[0][0] == "success"  # it is among them
    say(subject, "unsubscribe", "Q.O:X240119C00000001")
    assert say(subject, "subscribe", "Q.O:Y240119C00000001")[0][0] == "success"


def test_quotes_of_all_options_are_refused_and_bars_of_all_are_not() -> None:
    assert [status for status, _ in say(session("options"), "subscribe", "Q.*,AM.*")] == ["error", "success"]
    assert say(session(), "subscribe", "Q.*")[0][0] == "success"


def test_topics_are_read_from_any_list() -> None:
    assert parse_topics(" AM.SPY,, T.BRK.B ,X") == [("AM", "SPY"), ("T", "BRK.B"), ("X", "")]
