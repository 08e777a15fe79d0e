"""Whatever is published in whatever order, the partition holds what a plain dictionary would."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwether.config import SinkSettings
from bellwether.errors import NothingProven
from bellwether.lake import Coverage, Lake, TickerCoverage, read
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.lake.revisions import revision_of
from bellwether.schemas import EQUITIES
from tests.builders import SESSION, bars, submission

BEGAN = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    """What one run brings of one ticker: failed, proven empty, or bars; fetched so many minutes after the first."""

    minutes: int | None
    seed: int
    fetched_min: int

    def coverage(self, stage_id: str) -> TickerCoverage:
        states = {None: Coverage.FAILED, 0: Coverage.EMPTY}
        return TickerCoverage(
            states.get(self.minutes, Coverage.COMPLETE),
            rows=self.minutes or 0,
            stage_id=stage_id,
            fetched_utc=BEGAN + timedelta(minutes=self.fetched_min),
            reason="ServerError: boom" if self.minutes is None else "",
        )

    def table(self, ticker: str) -> pa.Table:
        return bars(ticker, minutes=self.minutes, seed=self.seed) if self.minutes else EQUITIES.empty_table()


ANSWERS = st.builds(Answer, st.sampled_from([None, 0, 4, 6, 20]), st.integers(0, 3), st.integers(0, 3))
RUNS = st.lists(st.dictionaries(st.sampled_from(["AAPL", "MSFT", "SPY"]), ANSWERS, min_size=1), min_size=1, max_size=5)


def displaces(new: Answer, old: Answer | None) -> bool:
    """Apply the rule as the architecture page words it: proven, not older, and not less than half of the rows."""
    if new.minutes is None:
        return False
    return old is None or (new.fetched_min >= old.fetched_min and new.minutes >= (old.minutes or 0) / 2)


class Model:
    """The partition as a dictionary: the answer in force of each ticker, and the tickers known only to have failed."""

    def __init__(self) -> None:
        self.in_force: dict[str, Answer] = {}
        self.failed: set[str] = set()

    def take(self, answers: dict[str, Answer]) -> None:
        """Take what one run brought. A run that changes nothing is not recorded: the first of equal answers stands."""
        in_force = self.in_force | {t: new for t, new in answers.items() if displaces(new, self.in_force.get(t))}
        failed = (self.failed | {t for t, new in answers.items() if new.minutes is None}) - in_force.keys()
        if in_force and (_content(in_force), failed) != (_content(self.in_force), self.failed):
            self.in_force, self.failed = in_force, failed


def _content(answers: dict[str, Answer]) -> dict[str, tuple[int | None, int]]:
    return {ticker: (answer.minutes, answer.seed if answer.minutes else 0) for ticker, answer in answers.items()}


@settings(max_examples=40, deadline=None)
@given(RUNS)
def test_a_partition_holds_the_last_answer_that_may_displace_and_every_row_of_it_once(
    runs: list[dict[str, Answer]],
) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(Path(folder) / "lake", simulated=True)
        for number, answers in enumerate(runs):
            stage_id = f"s{number}"
            model.take(answers)
            submitted = submission(
                *(answer.table(ticker) for ticker, answer in answers.items() if answer.minutes),
                stage_id=stage_id,
                coverage={ticker: answer.coverage(stage_id) for ticker, answer in answers.items()},
            )
            try:
                publish(lake, submitted, FileLayout(SinkSettings(), "snappy"))
            except NothingProven:
                assert model.in_force == {}
        in_force = model.in_force
        tables = [in_force[ticker].table(ticker) for ticker in sorted(in_force)]
        expected = pa.concat_tables([EQUITIES.empty_table(), *tables])
        if in_force:
            manifest = lake.manifest("equities", SESSION)
            assert manifest is not None
            assert read("equities", SESSION, SESSION, root=Path(folder) / "lake").equals(expected)
            assert manifest.revision == revision_of(expected)
            assert {t: known.rows for t, known in manifest.coverage.items() if known.state.is_proven} == {
                ticker: answer.minutes for ticker, answer in in_force.items()
            }
