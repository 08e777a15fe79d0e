"""Topics: what a client subscribes to, `AM.SPY` or `AM.*`, and what each cluster offers."""

from typing import NamedTuple

CLUSTERS = {
    "stocks": frozenset({"AM", "A", "T", "Q"}),
    "options": frozenset({"AM", "A", "T", "Q"}),
    "indices": frozenset({"AM", "A", "V"}),
}
"""The clusters by path, and the events each broadcasts."""

ALL = "*"
MOST_QUOTED_CONTRACTS = 1000
"""Contracts of which one connection may take quotes."""


class Topic(NamedTuple):
    """An event and a symbol, `*` for all."""

    event: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.event}.{self.symbol}"


def parse_topics(params: str) -> list[Topic]:
    """Return the topics of a message's `params`, divided by commas and spaces as the vendor's documents show."""
    texts = (text.strip() for text in params.split(","))
    return [Topic(*text.partition(".")[::2]) for text in texts if text]


def refusal(cluster: str, topic: Topic, subscribed: set[Topic]) -> str | None:
    """Return why a topic cannot be subscribed to beside what is, or None where it can."""
    if topic.event not in CLUSTERS[cluster] or not topic.symbol:
        return f"invalid topic: {topic}"
    if cluster != "options" or topic.event != "Q" or topic in subscribed:
        return None
    if topic.symbol == ALL:
        return "quotes of all options cannot be subscribed to: name the contracts"
    quoted = sum(each.event == "Q" for each in subscribed)
    if quoted < MOST_QUOTED_CONTRACTS:
        return None
    return f"a connection takes quotes of at most {MOST_QUOTED_CONTRACTS} contracts, not subscribed to: {topic}"
