"""Who joins while a stream goes on."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from bellwether.errors import ConfigError, LakeError
from bellwether.streaming import symbols
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.symbols import follow


class Taken:
    """A recorder that notes whom it takes up."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []
        self.is_done = asyncio.Event()

    def add(self, tickers: Sequence[str]) -> None:
        self.seen.append(tuple(tickers))
        self.is_done.set()


def test_a_look_that_fails_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbols, "_LEAST_S", 0.0)
    answers: list[Any] = [LakeError("unreachable"), ConfigError("half deployed"), ["SPY"]]

    def known() -> Sequence[str]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    async def work() -> None:
        taken = Taken()
        following = asyncio.create_task(follow(taken, FeedTime(speed=1e6), known))  # type: ignore[arg-type]
        await asyncio.wait_for(taken.is_done.wait(), 5)
        following.cancel()
        assert taken.seen[0] == ("SPY",)

    asyncio.run(work())
