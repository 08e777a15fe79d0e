"""What one connection is to be told as time goes by: the events of its topics, in order, each once.

Pure: time is a number that the caller gives, and equal calls give equal bytes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from heapq import heapify, heappop, heappush, heapreplace
from typing import NamedTuple

from bellwether.simulator.aggquery import new_york_day
from bellwether.simulator.days import midnight_ms
from bellwether.simulator.feed.broadcasts import broadcasts, minute_events, official_open
from bellwether.simulator.feed.events import Event
from bellwether.simulator.feed.prints import prints, second_events, trade_events, value_events
from bellwether.simulator.feed.quotes import ContractQuotes, session_contracts
from bellwether.simulator.feed.topics import ALL, Topic
from bellwether.simulator.records import Market

_PREFIXES = {"stocks": "", "options": "O:", "indices": "I:"}


@dataclass(frozen=True, kw_only=True)
class Script:
    """What the draws of broadcasts go by.

    Attributes
    ----------
    seed
        Equal seeds give equal broadcasts of equal markets.
    late_share
        Share of minutes that are broadcast a second time since a late print changed them, 0 to 1.
    """

    seed: int = 0
    late_share: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.late_share <= 1:
            msg = f"late_share is a share from 0 to 1, got {self.late_share}"
            raise ValueError(msg)


class _Next(NamedTuple):
    """The next event of a topic; no two entries have equal topics, so that comparing stops there."""

    due_ms: int
    topic: Topic
    text: bytes
    rest: Iterator[Event]


class Replay:
    """The events of topics of one cluster, from when they are wanted on.

    A day is read when it is reached. Time that goes on passes everything in between; time that goes back begins
    anew there.
    """

    def __init__(self, market: Market, cluster: str, script: Script) -> None:
        self._market = market
        self._cluster = cluster
        self._script = script
        self._quotes = ContractQuotes(market)
        self._wanted: frozenset[Topic] = frozenset()
        self._topics: set[Topic] = set()  # the wanted ones of the day with symbols in place of `*`
        self._agenda: list[_Next] = []
        self._day = date.min
        self._now_ms = 0

    def want(self, topics: Iterable[Topic]) -> None:
        """Take up topics from the last `take` on, and drop those that are no longer among them."""
        self._wanted = frozenset(topics)
        before, self._topics = self._topics, self._expand()
        self._agenda = [entry for entry in self._agenda if entry.topic in self._topics]
        heapify(self._agenda)
        self._begin(self._topics - before)

    def take(self, now_ms: int) -> list[bytes]:
        """Return the events due since the last call until `now_ms` (ms UTC), included, in order."""
        if now_ms < self._now_ms or not self._wanted:
            self._open(new_york_day(now_ms), now_ms)
        taken: list[bytes] = []
        while True:
            self._drain(now_ms, taken)
            if now_ms < self._end_ms:
                break
            self._open(self._day + timedelta(days=1), self._end_ms - 1)
        self._now_ms = now_ms
        return taken

    def next_due_ms(self) -> int | None:
        """Return when the next event is due, or the next day is to be read; None without topics."""
        if not self._wanted:
            return None
        return self._agenda[0].due_ms if self._agenda else self._end_ms

    def _open(self, day: date, since_ms: int) -> None:
        self._day, self._end_ms, self._now_ms = day, midnight_ms(day + timedelta(days=1)), since_ms
        self._topics, self._agenda = self._expand(), []
        self._begin(self._topics)

    def _begin(self, topics: Iterable[Topic]) -> None:
        # All are made before any is read: quotes of one underlying are worked out together.
        for topic, events in [(topic, self._events(topic)) for topic in sorted(topics)]:
            first = next(events, None)
            if first is not None:
                heappush(self._agenda, _Next(first.due_ms, topic, first.text, events))

    def _drain(self, until_ms: int, taken: list[bytes]) -> None:
        agenda = self._agenda
        while agenda and agenda[0].due_ms <= until_ms:
            _, topic, text, rest = agenda[0]
            taken.append(text)
            following = next(rest, None)
            if following is None:
                heappop(agenda)
            else:
                heapreplace(agenda, _Next(following.due_ms, topic, following.text, rest))

    def _expand(self) -> set[Topic]:
        topics = set(self._wanted)
        for topic in self._wanted:
            if topic.symbol == ALL:
                topics.remove(topic)
                topics.update(Topic(topic.event, symbol) for symbol in self._symbols())
        return topics

    def _symbols(self) -> Iterable[str]:
        if not self._market.days(self._day, self._day):
            return ()
        if self._cluster == "stocks":
            return self._market.equities()
        if self._cluster == "options":
            return session_contracts(self._market, self._day)
        return (row.ticker for row in self._market.listings(self._day) if row.market == "indices")

    def _events(self, topic: Topic) -> Iterator[Event]:
        """Return the day's events of a topic with a symbol that are due from now on; those of the past are left out."""
        ticker, day, since_ms, seed = topic.symbol, self._day, self._now_ms, self._script.seed
        known = self._market.has_ticker(ticker) and self._market.days(day, day)
        if not known or _PREFIXES[self._cluster] != (ticker[:2] if ":" in ticker else ""):
            return iter(())
        if topic.event == "Q":
            return self._quotes.events(ticker, day, since_ms)
        bars = self._market.bars(ticker, day)
        if topic.event == "AM":
            sent = broadcasts(bars, ticker, day, seed, self._script.late_share)
            return minute_events(sent, ticker, since_ms)
        if topic.event == "A":
            return second_events(prints(bars, ticker, day, seed, 0), ticker, official_open(bars, ticker, day), since_ms)
        told = (each for each in prints(bars, ticker, day, seed, since_ms) if each.at_ms > since_ms)
        return value_events(told, ticker) if topic.event == "V" else trade_events(told, ticker)
