"""What restated a session, read from its revisions; and whether gold is to be built anew for it."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from msgspec import structs

from bellwether.config import Config, SinkSettings
from bellwether.config.settings import RestatementTolerance
from bellwether.consolidate.inputs import published_inputs
from bellwether.consolidate.readiness import readiness
from bellwether.lake import Coverage, Lake, read
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.manifest import Releases
from bellwether.lake.publish import publish
from bellwether.recovery.ledger import read_gold
from bellwether.restatement.history import exceeds, is_tolerated, restatements
from bellwether.restatement.names import Pull, sessions_later
from bellwether.restatement.report import as_markdown, publish_restatements
from bellwether.schemas import EQUITIES, MINUTES
from tests.builders import SESSION, bars, submission

LAYOUT = FileLayout(SinkSettings(), "snappy")
NEXT = date(2025, 7, 2)
ONE_LATER = Pull("equities_daily", SESSION, 1, NEXT).run_id
THREE_LATER = Pull("equities_daily", SESSION, 3, date(2025, 7, 7)).run_id


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", simulated=True)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    env = {
        "BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[SPY]",
        "BELLWETHER__CONSOLIDATION__WARMUP_SESSIONS": "1",
        # Of the five bars one may move by a little.
        "BELLWETHER__RESTATEMENT__TOLERANCE": "{equities: {bars_share: 0.2, move_bp: 5, volume_share: 1}}",
    }
    return Config.load(tmp_path, env)


def moved(*moves_bp: float, minute: int = 1) -> pa.Table:
    """Return bars of SPY whose close of some minutes, the first one of them given, is moved."""
    rows = bars("SPY").to_pylist()
    for place, move in enumerate(moves_bp, start=minute):
        rows[place]["close"] *= 1 + move / 1e4
    return pa.Table.from_pylist(rows, EQUITIES)


def say(lake: Lake, table: pa.Table, run_id: str, session: date = SESSION) -> str:
    return publish(lake, submission(table, session=session, stage_id=run_id, run_id=run_id), LAYOUT).manifest.revision


def build_gold(lake: Lake, config: Config, session: date = SESSION) -> None:
    made = GoldSubmission(
        dataset="minutes",
        session=session,
        table=MINUTES.empty_table(),
        coverage={},
        inputs=published_inputs(lake, config, session).revisions,
        warnings={},
        stage_id="",
        run_id="gold",
        config_hash=config.hash,
        timings_s={},
    )
    publish_gold(lake, made, LAYOUT, lambda: made.inputs)


def test_the_name_of_a_run_tells_how_much_later_it_fetched_again_and_other_names_do_not() -> None:
    assert ONE_LATER == "restate__2025-07-01__t1__2025-07-02"
    assert [sessions_later(name) for name in (ONE_LATER, THREE_LATER, "backfill__2025-07-01__x", "restate__now")] == [
        1,
        3,
        None,
        None,
    ]


def test_every_publication_of_such_a_run_that_changed_rows_is_a_restatement(lake: Lake, config: Config) -> None:
    first = say(lake, bars("SPY"), "run")
    second = say(lake, moved(2.0), ONE_LATER)
    say(lake, moved(2.0, 3.0), "run-of-a-person")
    say(lake, moved(2.0, 9.0), THREE_LATER)
    newest, older = restatements(lake, config, "equities", SESSION)
    assert (newest.sessions_later, newest.is_over, newest.found.changed) == (3, True, 1)
    assert (older.sessions_later, older.is_over, older.replaced) == (1, False, first)
    assert older.manifest.revision == second
    assert older.found.max_move_bp == pytest.approx(2.0)


def test_they_are_a_dataset_and_a_summary(lake: Lake, config: Config) -> None:
    say(lake, bars("SPY"), "run")
    say(lake, moved(2.0), ONE_LATER)
    published = publish_restatements(lake, config, SESSION, run_id="r").manifest
    assert published.warnings == {"equities_over_tolerance": 0}
    [row] = read("restatements", SESSION, SESSION, root=lake.root).to_pylist()
    assert (row["dataset"], row["sessions_later"], row["ticker"], row["kind"]) == ("equities", 1, "SPY", "changed")
    assert row["ts"] == bars("SPY")["ts"][1].as_py()
    assert (row["move_bp"], row["volume_difference"]) == (pytest.approx(2.0), 0.0)
    assert publish_restatements(lake, config, SESSION, run_id="again").changed is False
    pulls = [("equities", SESSION, 1, "success"), ("equities", SESSION, 3, "success"), ("equities", NEXT, 1, "failed")]
    told = as_markdown(lake, config, pulls)
    assert "| 2025-07-01 | equities | T+1 | 1 | 0 | 0 | 2.00 | +0 | within tolerance |" in told
    assert "| 2025-07-01 | equities | T+3 | 0 | 0 | 0 | - | - | as it was |" in told
    assert "| 2025-07-02 | equities | T+1 | 0 | 0 | 0 | - | - | its run is failed, and tells why |" in told


@pytest.mark.parametrize(
    ("changes", "over"),
    [({}, False), ({"bars_share": 0.1}, True), ({"move_bp": 4.9}, True), ({"volume_share": 0.0}, False)],
)
def test_each_bound_is_one_that_may_just_be_reached(
    lake: Lake, config: Config, changes: dict[str, float], over: bool
) -> None:
    say(lake, bars("SPY"), "run")
    say(lake, moved(4.95), ONE_LATER)
    [found] = restatements(lake, config, "equities", SESSION)
    tolerance = RestatementTolerance(**{"bars_share": 0.2, "move_bp": 5.0, "volume_share": 0.0} | changes)
    assert exceeds(found.found, tolerance) is over


def test_gold_stays_over_a_restatement_within_tolerance_of_its_session_and_of_its_warm_up(
    lake: Lake, config: Config
) -> None:
    for session in (SESSION, NEXT):
        say(lake, bars("SPY", session), "run", session)
        build_gold(lake, config, session)
    say(lake, moved(2.0), ONE_LATER)
    for session in (SESSION, NEXT):
        found = readiness(lake, config, session)
        assert (found.announce, found.state) == (False, Coverage.COMPLETE)
        assert found.why == "what was restated since gold was built is within tolerance"
        assert read_gold(lake, config, session).changed == frozenset()


def test_restatements_are_taken_together_since_gold_was_built(lake: Lake, config: Config) -> None:
    say(lake, bars("SPY"), "run")
    build_gold(lake, config)
    say(lake, moved(3.0), ONE_LATER)
    assert not readiness(lake, config, SESSION).announce
    say(lake, moved(6.0), THREE_LATER)
    found = readiness(lake, config, SESSION)
    assert (found.announce, found.why) == (True, "inputs changed since gold was built")


def test_what_anybody_else_publishes_is_announced_however_little_it_changes(lake: Lake, config: Config) -> None:
    recorded = say(lake, bars("SPY"), "run")
    build_gold(lake, config)
    say(lake, moved(0.1), "run-of-a-person")
    standing = say(lake, moved(0.2), ONE_LATER)
    assert readiness(lake, config, SESSION).announce
    assert not is_tolerated(lake, config, "equities", SESSION, recorded, standing)
    assert not is_tolerated(lake, config, "indices", SESSION, recorded, standing)
    assert not is_tolerated(lake, config, "equities", SESSION, recorded, "another since")
    assert not is_tolerated(lake, config, "equities", SESSION, "pruned long ago", standing)


def test_a_release_that_a_restatement_puts_in_force_is_announced_however_little_it_changes(
    lake: Lake, config: Config
) -> None:
    say(lake, bars("SPY"), "run")
    build_gold(lake, config)
    with_a_release = submission(moved(0.1), session=SESSION, stage_id=ONE_LATER, run_id=ONE_LATER)
    known = with_a_release.coverage["SPY"]
    decided = {"SPY": structs.replace(known, released=Releases(1, frozenset({"a digest"})))}
    publish(lake, replace(with_a_release, coverage=decided), LAYOUT)
    assert readiness(lake, config, SESSION).announce
