"""Markets of the simulator, cut to what a test needs."""

from collections.abc import Iterator
from itertools import islice

from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.records import Contract, ContractQuery


class ShortChains(GeneratedMarket):
    """Lists no more than so many contracts of an underlying: a whole chain's pages are the transport's matter."""

    def __init__(self, most: int, *tickers: str) -> None:
        super().__init__(seed=7, tickers=list(tickers))
        self._most = most

    def contracts(self, query: ContractQuery) -> Iterator[Contract]:
        return islice(super().contracts(query), self._most)
