"""What is said on a connection: key, topics, their answers, and how it ends."""

import json

import pytest

from bellwether.errors import StreamRefused
from bellwether.streaming.client import stream_url
from bellwether.streaming.protocol import ConnectionLost, Dialogue, Status, statuses


def say(status: str, message: str = "") -> Status:
    return Status("status", status, message)


def listening(*topics: str) -> Dialogue:
    dialogue = Dialogue("k", topics)
    for status in (say("connected"), say("auth_success"), *(say("success", f"subscribed to: {t}") for t in topics)):
        dialogue.hear(status)
    return dialogue


def test_key_and_topics_are_sent_in_turn_and_every_topic_is_to_be_acknowledged() -> None:
    dialogue = Dialogue("k", ["AM.SPY", "AM.QQQ", "AM.SPY"])
    assert [json.loads(m) for m in dialogue.hear(say("connected"))] == [{"action": "auth", "params": "k"}]
    sent = dialogue.hear(say("auth_success", "authenticated"))
    assert [json.loads(m) for m in sent] == [{"action": "subscribe", "params": "AM.SPY,AM.QQQ"}]
    dialogue.hear(say("success", "subscribed to: AM.QQQ"))
    assert (dialogue.is_listening, dialogue.missing) == (False, {"AM.SPY"})
    dialogue.hear(say("success", "subscribed to: AM.SPY"))
    assert dialogue.is_listening


def test_thousands_of_topics_are_asked_for_in_several_messages() -> None:
    dialogue = Dialogue("k", [f"AM.S{number}" for number in range(1200)])
    sent = [json.loads(message)["params"].split(",") for message in dialogue.hear(say("auth_success"))]
    assert [len(part) for part in sent] == [500, 500, 200]


def test_a_topic_that_is_not_served_is_set_apart_and_the_others_are_listened_to() -> None:
    dialogue = Dialogue("k", ["AM.SPY", "XX.SPY"])
    dialogue.hear(say("auth_success"))
    dialogue.hear(say("success", "subscribed to: AM.SPY"))
    dialogue.hear(say("error", "invalid topic: XX.SPY"))
    assert dialogue.is_listening
    assert dialogue.refused == {"XX.SPY": "invalid topic: XX.SPY"}


def test_a_refused_key_is_final_and_what_else_ends_a_connection_is_not() -> None:
    with pytest.raises(StreamRefused, match="authentication failed"):
        Dialogue("k", []).hear(say("auth_failed", "authentication failed"))
    for name in ("max_connections", "auth_timeout", "slow_consumer", "force_disconnect"):
        with pytest.raises(ConnectionLost) as lost:
            Dialogue("k", []).hear(say(name, "why"))
        assert (lost.value.cause, lost.value.evidence) == (name, "why")


def test_topics_that_join_are_asked_for_alone_and_have_to_be_acknowledged() -> None:
    dialogue = listening("AM.SPY")
    (message,) = dialogue.want(["AM.SPY", "AM.QQQ"])
    assert json.loads(message)["params"] == "AM.QQQ"
    assert not dialogue.is_listening
    dialogue.hear(say("success", "subscribed to: AM.QQQ"))
    assert dialogue.is_listening


def test_a_probe_asks_for_a_topic_again_and_is_answered_by_its_acknowledgement() -> None:
    dialogue = listening("AM.SPY")
    assert json.loads(dialogue.probe()) == {"action": "subscribe", "params": "AM.SPY"}
    assert dialogue.is_probing
    dialogue.hear(say("success", "subscribed to: AM.SPY"))
    assert not dialogue.is_probing


def test_statuses_are_found_among_events_and_not_in_what_cannot_be_read() -> None:
    mixed = b'[{"ev":"AM","sym":"SPY"},{"ev":"status","status":"error","message":"m"}]'
    assert statuses(mixed) == [say("error", "m")]
    assert statuses(b'[{"ev":"AM","sym":"SPY"}]') == []
    assert statuses(b'{"status"') == []
    assert statuses(b'[{"ev":"status","status":"\xff","message":""}]') == []
    assert statuses(b'{"status":' + b"[" * 100_000) == []


@pytest.mark.parametrize(
    ("rest", "stream"),
    [
        ("https://api.polygon.io", "wss://socket.polygon.io/options"),
        ("https://api.massive.com", "wss://socket.massive.com/options"),
        ("http://127.0.0.1:8765", "ws://127.0.0.1:8765/options"),
    ],
)
def test_streams_are_beside_the_rest_address(rest: str, stream: str) -> None:
    assert stream_url(rest, "options") == stream
    assert stream_url(rest, "options", delayed=True) == stream.replace("socket.", "delayed.")
