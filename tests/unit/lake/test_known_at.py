"""`read(as_of=T)` returns what was known at T, whatever was published, revised, refused and repaired since."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Coverage, Lake, TickerCoverage, read
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.quality.late import Window
from bellwether.schemas import EQUITIES
from tests.builders import SESSION, bars, complete, submission

LAYOUT = FileLayout(SinkSettings(), "snappy")
BEGAN = datetime(2025, 7, 1, 15, tzinfo=UTC)
UNTIL = BEGAN + timedelta(hours=12)
NOTHING = EQUITIES.empty_table()


@dataclass(frozen=True)
class Answer:
    """A daily pull's answer about a ticker, taken so many hours after the event before; perhaps whatever its age."""

    ticker: str
    seed: int
    is_accepted: bool
    hours: int


@dataclass(frozen=True)
class OldAnswer:
    """The first answer about a ticker, published once more: a replay, or a task that was cleared."""

    ticker: str
    hours: int


@dataclass(frozen=True)
class Repair:
    """A compaction of the stream that has so many minutes more than the one before."""

    minutes: int
    hours: int


HOURS, TICKERS = st.integers(1, 7), st.sampled_from(["AAPL", "SPY"])
EVENTS = st.one_of(
    st.builds(Answer, TICKERS, st.integers(0, 2), st.booleans(), HOURS),
    st.builds(OldAnswer, TICKERS, HOURS),
    st.builds(Repair, st.integers(1, 3), HOURS),
)


class World:
    """A lake with its clock, and what is known of it as plain dictionaries."""

    def __init__(self, root: Path) -> None:
        self.time = BEGAN
        self.lake = Lake.open(root, simulated=True, clock=self)
        self.in_force: dict[str, int] = {}
        self.first: dict[str, tuple[int, datetime]] = {}
        self.minutes = 0
        self.known: list[tuple[datetime, dict[str, int], int]] = [(BEGAN - timedelta(hours=1), {}, 0)]

    def now(self) -> datetime:
        return self.time

    def play(self, event: Answer | OldAnswer | Repair) -> None:
        self.time += timedelta(hours=event.hours)
        if isinstance(event, Repair):
            self.minutes += event.minutes
            self._repair()
        elif isinstance(event, Answer):
            is_first = event.ticker not in self.in_force
            if is_first or event.is_accepted or self.time <= UNTIL:
                self.in_force[event.ticker] = event.seed
            self.first.setdefault(event.ticker, (event.seed, self.time))
            self._answer(event.ticker, event.seed, self.time, accept=event.is_accepted)
        elif event.ticker in self.first:
            seed, fetched = self.first[event.ticker]
            self._answer(event.ticker, seed, fetched, accept=False)
        self.known.append((self.time, dict(self.in_force), self.minutes))

    def _answer(self, ticker: str, seed: int, fetched: datetime, *, accept: bool) -> None:
        table, stage_id = bars(ticker, seed=seed), f"{ticker}-{seed}-{fetched:%d%H}"
        known = complete(table, stage_id=stage_id)
        coverage = {name: structs.replace(each, fetched_utc=fetched) for name, each in known.items()}
        made = submission(
            table, stage_id=stage_id, coverage=coverage, window=Window(UNTIL), accept_late=accept, accept_loss=accept
        )
        publish(self.lake, made, LAYOUT)

    def _repair(self) -> None:
        made = GoldSubmission(
            dataset="equities_live",
            session=SESSION,
            table=bars("SPY", minutes=30).slice(0, self.minutes),
            coverage={"SPY": TickerCoverage(Coverage.COMPLETE, rows=self.minutes)},
            inputs={},
            warnings={},
            stage_id="",
            run_id="r",
            config_hash="c",
            timings_s={},
        )
        publish_gold(self.lake, made, LAYOUT, dict)

    def as_of(self, dataset: str, instant: datetime) -> pa.Table:
        return read(dataset, SESSION, SESSION, root=self.lake.root, as_of=instant)


@settings(max_examples=20, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=8))
def test_at_every_instant_it_returns_what_was_known_then(events: list[Answer | OldAnswer | Repair]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "lake")
        for event in events:
            world.play(event)
        for instant, in_force, minutes in world.known:
            tables = [bars(ticker, seed=seed) for ticker, seed in sorted(in_force.items())]
            assert world.as_of("equities", instant).equals(pa.concat_tables([NOTHING, *tables])), instant
            try:
                streamed = world.as_of("equities_live", instant)
            except LakeError:  # of streams only the last compaction is kept: anything else is refused, not made up
                assert minutes < world.minutes
                continue
            assert streamed.equals(bars("SPY", minutes=30).slice(0, minutes)), instant
