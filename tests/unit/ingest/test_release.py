"""What the vendor changes of bars: noticed, held back with its raw bytes, let pass by an approval, published."""

import json
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import SessionHours, get_calendar
from bellwether.clock import SimulatedClock
from bellwether.config import Config, RetryPolicies
from bellwether.config.sinks import SinkSettings
from bellwether.drift import approval
from bellwether.drift.approval import approve, contract_diff, reject
from bellwether.drift.ledger import Known, contracts_in_force, find, known_changes, versions
from bellwether.errors import DriftError, NothingProven
from bellwether.ingest.audit import audit_session
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import publish_stage, validate_stage
from bellwether.ingest.plan import Batch, plan_session
from bellwether.ingest.release import Released, release
from bellwether.ingest.replay import replay_session
from bellwether.lake import Coverage, Lake, read
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import quarantine_schema
from bellwether.quality.validate import Verdict
from bellwether.schemas import EQUITIES
from bellwether.sources.aggregates import Aggregates, BarChain
from bellwether.sources.chain import Take, take
from bellwether.sources.retry import Retrier
from bellwether.sources.walk import PageLog, Walk
from bellwether.sources.wire import Reply
from tests.builders import bars, bars_body, submission
from tests.unit.ingest.conftest import UNIVERSE

SESSIONS = get_calendar().sessions(date(2025, 6, 16), date(2025, 7, 8))
LAST = SESSIONS[-1]
MINUTES = 30

type Body = Callable[[dict[str, Any]], object]


def each_row(change: Callable[[dict[str, Any]], object]) -> Body:
    """Return what changes every row of a body."""

    def changed(body: dict[str, Any]) -> None:
        for row in body["results"]:
            change(row)

    return changed


def renamed(row: dict[str, Any]) -> None:
    row["vol"] = row.pop("v")


def in_hundreds(row: dict[str, Any]) -> None:
    row["v"] /= 100


class Vendor:
    """Stands where `PolygonRest` does: the market's bars, spoilt by ticker; the transport's own walk reads them."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.spoilt: dict[str, Body] = {}
        self.calls = 0
        self._clock = clock
        self._take: Take = take

    def reading(self, by: Take) -> "Vendor":
        other = Vendor(self._clock)
        other.spoilt, other._take, other._count = self.spoilt, by, self._count
        return other

    def _count(self) -> None:
        self.calls += 1

    def aggregates(self, ticker: str, from_ms: int, to_ms: int, *, page_log: PageLog | None) -> Aggregates:
        session = datetime.fromtimestamp(to_ms / 1000 - 43_200, UTC).date()

        def answer(path: str, parameters: Mapping[str, str] | None) -> Reply:
            self._count()
            table = bars(ticker, session, MINUTES, seed=session.toordinal())
            body = json.loads(bars_body(ticker, table))
            self.spoilt.get(ticker, lambda _: None)(body)
            return Reply(f"http://vendor{path}", 200, "r", {}, json.dumps(body).encode(), self._clock.now())

        retrier = Retrier(RetryPolicies(), lambda _: pytest.fail("waited"), random.Random(0))
        return Walk(lambda: BarChain(ticker, from_ms, to_ms), answer, retrier, page_log, self._take).run()


class Desk:
    """A lake, its vendor, and the daily run."""

    def __init__(self, lake: Lake, config: Config, clock: SimulatedClock) -> None:
        self.lake, self.config, self.vendor = lake, config, Vendor(clock)

    def capture(self, session: date = LAST, stage_id: str = "s1", **options: Any) -> dict[str, Coverage]:
        batches = plan_session(self.lake, self.config, self.vendor, "equities", session, stage_id=stage_id, **options)
        for batch in batches:
            fetch_batch(self.lake, self.vendor, self.config, batch)
        validate_stage(self.lake, self.config, batches)
        publish_stage(self.lake, self.config, "equities", session, stage_id=stage_id, run_id="run")
        return self.states(session)

    def states(self, session: date = LAST) -> dict[str, Coverage]:
        manifest = self.lake.manifest("equities", session)
        return {ticker: known.state for ticker, known in manifest.coverage.items()} if manifest else {}

    def spoil_all(self, change: Body) -> None:
        self.vendor.spoilt = dict.fromkeys(UNIVERSE, change)

    def released(self, change_id: str, **options: Any) -> Released:
        return release(self.lake, self.config, approve(self.lake, self.config, change_id, by="ann", **options))

    def published(self, session: date = LAST) -> pa.Table:
        return read("equities", session, session, root=self.lake.root)

    def only_change(self) -> Known:
        [known] = known_changes(self.lake)
        return known


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge rows by the gate alone, whose verdicts are the suite's."""

    def judge(table: pa.Table, *, session_hours: SessionHours, dataset: str, **_: object) -> Verdict:
        report = check_batch(table, session_hours, dataset)
        bad = report.table.append_column("reason", report.reasons).filter(report.reasons.is_valid())
        bad = bad.cast(quarantine_schema(dataset))
        good = report.table.filter(report.reasons.is_null()).cast(EQUITIES)
        return Verdict(True, good, bad, {}, [], {}, 0.0)

    monkeypatch.setattr("bellwether.ingest.finish.validate_session", judge)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    clock = SimulatedClock(datetime(2025, 7, 10, tzinfo=UTC), speed=1)
    env = {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": json.dumps(list(UNIVERSE))}
    config = Config.load(None, env)
    return Desk(Lake.open(tmp_path / "lake", simulated=True, clock=clock), config, clock)


@pytest.fixture
def with_history(desk: Desk) -> Desk:
    for session in SESSIONS[-5:-2]:
        tables = [bars(ticker, session, MINUTES, seed=session.toordinal()) for ticker in UNIVERSE]
        publish(desk.lake, submission(*tables, session=session), FileLayout(SinkSettings(), "snappy"))
    return desk


def test_answers_that_keep_their_contract_leave_no_trace(with_history: Desk) -> None:
    assert set(with_history.capture().values()) == {Coverage.COMPLETE}
    assert known_changes(with_history.lake) == []


def test_a_renamed_field_holds_back_its_ticker_alone_and_an_approval_publishes_it_without_a_call(desk: Desk) -> None:
    expected = bars("SPY", LAST, MINUTES, seed=LAST.toordinal())
    desk.vendor.spoilt["SPY"] = each_row(renamed)
    states = desk.capture()
    assert states.pop("SPY") is Coverage.QUARANTINED
    assert set(states.values()) == {Coverage.COMPLETE}
    known = desk.only_change()
    assert (known.change_id, known.state, known.sessions) == ("equities.v.renamed.vol", "open", (LAST,))
    assert known.sightings[0].subjects == ("SPY",)
    assert audit_session(desk.lake, desk.config, "equities", LAST) == {}
    assert replay_session(desk.lake, desk.config, "equities", LAST).changed is False
    contract = contracts_in_force(desk.lake, desk.config)["equities"]
    assert "+ version: 2" in contract_diff(contract, known)
    assert "aliases: [vol]" in contract_diff(contract, known)

    asked = desk.vendor.calls
    assert desk.released(known.change_id) == Released((LAST,), ())
    assert desk.vendor.calls == asked
    assert set(desk.states().values()) == {Coverage.COMPLETE}
    table = desk.published()
    assert table.filter(pc.equal(table["ticker"], "SPY")).equals(expected)
    contract = contracts_in_force(desk.lake, desk.config)["equities"]
    assert (contract.version, contract.fields["v"].aliases) == (2, ("vol",))
    assert set(desk.capture(SESSIONS[-2]).values()) == {Coverage.COMPLETE}, "later answers are read by it, too"


def test_every_session_that_waits_is_published_where_nothing_had_been(desk: Desk) -> None:
    desk.spoil_all(each_row(renamed))
    for session in SESSIONS[-3:]:
        with pytest.raises(NothingProven, match="Drifted: `v` seems to be called `vol` now"):
            desk.capture(session)
    known = desk.only_change()
    assert (known.sessions, known.sightings[0].subjects) == (tuple(SESSIONS[-3:]), UNIVERSE)
    assert desk.released(known.change_id).sessions == tuple(SESSIONS[-3:])
    assert {state for session in SESSIONS[-3:] for state in desk.states(session).values()} == {Coverage.COMPLETE}


def test_approving_twice_is_told_and_publishes_nothing_again(desk: Desk) -> None:
    desk.vendor.spoilt["SPY"] = each_row(renamed)
    desk.capture()
    first = approve(desk.lake, desk.config, "equities.v.renamed.vol", by="ann")
    assert (first.news, first.version) == (True, 2)
    # Whoever died before replaying is finished by whoever approves again.
    second = approve(desk.lake, desk.config, "equities.v.renamed.vol", by="bob")
    assert second.known.decision is not None
    assert (second.news, second.version, second.known.decision.by) == (False, 2, "ann")
    assert release(desk.lake, desk.config, second).sessions == (LAST,)
    revision = desk.lake.manifest("equities", LAST)
    assert desk.released("equities.v.renamed.vol") == Released((), ())
    assert desk.lake.manifest("equities", LAST) == revision
    with pytest.raises(DriftError, match="was approved by ann"):
        reject(desk.lake, "equities.v.renamed.vol", by="bob", reason="no")


def test_what_is_rejected_stays_with_its_reason_and_waits_for_no_further_decision(desk: Desk) -> None:
    desk.vendor.spoilt["SPY"] = each_row(renamed)
    desk.capture()
    with pytest.raises(DriftError, match="say why"):
        reject(desk.lake, "equities.v.renamed.vol", by="ann", reason=" ")
    assert reject(desk.lake, "equities.v.renamed.vol", by="ann", reason="a test of theirs").news
    desk.capture(SESSIONS[-2])
    known = desk.only_change()
    assert known.decision is not None
    assert (known.state, known.decision.reason, len(known.sessions)) == ("rejected", "a test of theirs", 2)
    assert desk.states()["SPY"] is Coverage.QUARANTINED
    assert contracts_in_force(desk.lake, desk.config)["equities"].version == 1
    assert desk.released(known.change_id).sessions == tuple(SESSIONS[-2:]), "minds may change"


def test_numbers_that_come_as_texts_are_read_once_that_is_approved(desk: Desk) -> None:
    desk.vendor.spoilt["SPY"] = each_row(lambda row: row.update(c=str(row["c"])))
    assert desk.capture()["SPY"] is Coverage.QUARANTINED
    assert desk.released("equities.c.retyped.text") == Released((LAST,), ())
    assert desk.states()["SPY"] is Coverage.COMPLETE


def test_times_in_nanoseconds_are_told_from_times_outside_the_session(desk: Desk) -> None:
    desk.vendor.spoilt["SPY"] = each_row(lambda row: row.update(t=row["t"] * 1_000_000))
    assert desk.capture()["SPY"] is Coverage.QUARANTINED
    assert desk.released("equities.t.rescaled.1e-06") == Released((LAST,), ())
    assert desk.states()["SPY"] is Coverage.COMPLETE


def test_a_new_field_is_noted_and_everything_goes_on(desk: Desk) -> None:
    desk.spoil_all(each_row(lambda row: row.update(x=1)))
    assert set(desk.capture().values()) == {Coverage.COMPLETE}
    known = desk.only_change()
    assert (known.change_id, known.state) == ("equities.x.added.integer", "noted")
    assert desk.released(known.change_id) == Released((), ())
    desk.capture(SESSIONS[-2])
    assert known_changes(desk.lake)[0].sessions == (LAST,), "a name the contract has is no news"


def test_volumes_in_hundreds_hold_the_session_back_until_the_factor_is_approved(with_history: Desk) -> None:
    desk = with_history
    desk.capture(SESSIONS[-2])
    desk.spoil_all(each_row(in_hundreds))
    with pytest.raises(NothingProven, match="`v` is in another unit now: times 100 it is what it was"):
        desk.capture()
    known = desk.only_change()
    assert known.change_id == "equities.v.rescaled.100"
    [quarantined] = desk.lake.storage.list(PurePosixPath("quarantine"))
    held = desk.lake.read_parquet(quarantined.key)
    assert held is not None
    assert (len(held), set(held["reason"].to_pylist())) == (
        MINUTES * len(UNIVERSE),
        {"Drifted: `v` is in another unit now: times 100 it is what it was"},
    )
    assert desk.released(known.change_id) == Released((LAST,), ())
    expected = pa.concat_tables([bars(ticker, LAST, MINUTES, seed=LAST.toordinal()) for ticker in UNIVERSE])
    assert desk.published().equals(expected)
    # Answers that came before the change are read as ever.
    assert audit_session(desk.lake, desk.config, "equities", SESSIONS[-2]) == {}
    assert replay_session(desk.lake, desk.config, "equities", SESSIONS[-2]).changed is False


def test_values_may_be_taken_as_they_are(with_history: Desk) -> None:
    desk = with_history
    desk.spoil_all(each_row(in_hundreds))
    with pytest.raises(NothingProven):
        desk.capture()
    assert desk.released("equities.v.rescaled.100", as_it_is=True) == Released((LAST,), ())
    assert max(desk.published()["volume"].to_pylist()) <= 100


def test_a_busy_day_is_no_change_of_unit(with_history: Desk) -> None:
    with_history.spoil_all(each_row(lambda row: row.update(v=row["v"] * 10, n=row["n"] * 10)))
    assert set(with_history.capture().values()) == {Coverage.COMPLETE}
    assert known_changes(with_history.lake) == []


def test_a_jump_of_nulls_holds_the_session_back_until_so_many_are_approved(with_history: Desk) -> None:
    desk = with_history
    desk.spoil_all(each_row(lambda row: row["t"] // 60_000 % 3 and row.pop("vw")))
    with pytest.raises(NothingProven, match=r"`vw` is empty in a share of 0\.67 of the rows"):
        desk.capture()
    assert desk.released("equities.vw.nulls") == Released((LAST,), ())
    assert desk.published()["vwap"].null_count == MINUTES * len(UNIVERSE) * 2 // 3


def test_what_is_released_and_still_invalid_stays_in_quarantine_and_is_told(with_history: Desk) -> None:
    desk = with_history
    desk.vendor.spoilt["SPY"] = each_row(lambda row: (renamed(row), row.update(h=row["l"] - 1)))
    assert desk.capture()["SPY"] is Coverage.QUARANTINED
    freed = desk.released("equities.v.renamed.vol")
    [problem] = freed.problems
    assert problem == f"{LAST} SPY: {MINUTES} rows in quarantine"
    assert desk.states()["SPY"] is Coverage.QUARANTINED


def test_two_people_who_approve_at_once_publish_once(desk: Desk) -> None:
    desk.vendor.spoilt["SPY"] = each_row(renamed)
    desk.capture()

    def approved(by: str) -> Released:
        return release(desk.lake, desk.config, approve(desk.lake, desk.config, "equities.v.renamed.vol", by=by))

    with ThreadPoolExecutor(2) as people:
        freed = list(people.map(approved, ("ann", "bob")))
    assert sorted(len(each.sessions) for each in freed) == [0, 1]
    assert [each.problems for each in freed] == [(), ()]
    assert versions(desk.lake) == {"equities": [2]}
    assert set(desk.states().values()) == {Coverage.COMPLETE}


@pytest.mark.parametrize(("step", "call"), [("contracts_in_force", 2), ("versions", 1), ("add_version", 1)])
def test_whoever_is_overtaken_at_any_step_makes_no_second_version(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str, call: int
) -> None:
    desk.vendor.spoilt["SPY"] = each_row(renamed)
    desk.capture()
    taken, calls = getattr(approval, step), 0

    def overtaken(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            approve(desk.lake, desk.config, "equities.v.renamed.vol", by="bob")
        return taken(*arguments)

    monkeypatch.setattr(approval, step, overtaken)
    assert approve(desk.lake, desk.config, "equities.v.renamed.vol", by="ann").version == 2
    assert calls > call
    assert versions(desk.lake) == {"equities": [2]}


def test_tickers_that_differ_in_two_ways_wait_for_both(desk: Desk) -> None:
    desk.vendor.spoilt["AAPL"] = each_row(renamed)
    desk.vendor.spoilt["SPY"] = each_row(lambda row: row.update(volume=row.pop("v")))
    assert [each for each, state in desk.capture().items() if state is Coverage.QUARANTINED] == ["AAPL", "SPY"]
    assert desk.released("equities.v.renamed.vol") == Released((LAST,), ())
    assert [each for each, state in desk.states().items() if state is Coverage.QUARANTINED] == ["SPY"]
    assert desk.released("equities.v.renamed.volume") == Released((LAST,), ())
    assert set(desk.states().values()) == {Coverage.COMPLETE}
    assert contracts_in_force(desk.lake, desk.config)["equities"].fields["v"].aliases == ("vol", "volume")


def test_an_approval_between_two_batches_holds_for_the_second_and_the_first_is_asked_about_again(desk: Desk) -> None:
    desk.spoil_all(each_row(renamed))
    desk.vendor.spoilt.pop("QQQ")
    with pytest.raises(NothingProven):
        desk.capture(SESSIONS[-2], tickers=["AAPL"])
    plan_session(desk.lake, desk.config, desk.vendor, "equities", LAST, stage_id="s1")
    batches = [Batch("equities", LAST, "s1", index, UNIVERSE[2 * index :][:2]) for index in range(2)]
    fetch_batch(desk.lake, desk.vendor, desk.config, batches[0])
    desk.released("equities.v.renamed.vol")
    fetch_batch(desk.lake, desk.vendor, desk.config, batches[1])
    validate_stage(desk.lake, desk.config, batches)
    publish_stage(desk.lake, desk.config, "equities", LAST, stage_id="s1", run_id="run")
    held = {ticker for ticker, state in desk.states().items() if state is Coverage.QUARANTINED}
    assert held == {"AAPL", "MSFT"}
    assert desk.released("equities.v.renamed.vol-2") == Released((LAST,), ())
    assert set(desk.states().values()) == {Coverage.COMPLETE}


def test_a_validation_that_dies_between_quarantine_and_report_ends_the_same_when_it_is_repeated(
    with_history: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = with_history
    desk.spoil_all(each_row(in_hundreds))
    desk.vendor.spoilt["SPY"] = each_row(renamed)
    batches = plan_session(desk.lake, desk.config, desk.vendor, "equities", LAST, stage_id="s1")
    for batch in batches:
        fetch_batch(desk.lake, desk.vendor, desk.config, batch)
    for place in ("publish_drift", "paths.quarantine", "Stage.write_validated"):
        with monkeypatch.context() as patch:
            patch.setattr(f"bellwether.ingest.finish.{place}", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                validate_stage(desk.lake, desk.config, batches)
    validate_stage(desk.lake, desk.config, batches)
    assert {each.change_id: len(each.sightings) for each in known_changes(desk.lake)} == {
        "equities.v.renamed.vol": 1,
        "equities.v.rescaled.100": 1,
    }
    assert len(list(desk.lake.storage.list(PurePosixPath("quarantine")))) == 1
    assert len(read("drift", LAST, LAST, root=desk.lake.root)) == 2


def test_a_first_session_without_history_is_published_whatever_its_values(desk: Desk) -> None:
    desk.spoil_all(each_row(in_hundreds))
    assert set(desk.capture().values()) == {Coverage.COMPLETE}
    assert known_changes(desk.lake) == []


def test_a_value_that_says_nothing_of_its_type_cannot_be_approved(desk: Desk) -> None:
    desk.vendor.spoilt["SPY"] = each_row(lambda row: row.update(c="n/a"))
    assert desk.capture()["SPY"] is Coverage.QUARANTINED
    known = desk.only_change()
    with pytest.raises(DriftError, match="Nothing says which number that is"):
        approve(desk.lake, desk.config, known.change_id, by="ann")
    assert find(desk.lake, known.change_id).state == "open"


def test_a_field_that_is_gone_cannot_be_approved_and_its_bytes_are_kept(desk: Desk) -> None:
    desk.vendor.spoilt["SPY"] = each_row(lambda row: row.pop("c"))
    assert desk.capture()["SPY"] is Coverage.QUARANTINED
    known = desk.only_change()
    with pytest.raises(DriftError, match=r"add that to fields\.c\.aliases in config/contracts/equities\.yaml"):
        approve(desk.lake, desk.config, known.change_id, by="ann")
    assert find(desk.lake, known.change_id).state == "open"
    manifest = desk.lake.manifest("equities", LAST)
    assert manifest is not None
    assert set(known.sightings[0].raw.items()) <= set(manifest.inputs.items())


def test_one_broken_bar_is_a_broken_answer_and_no_drift(desk: Desk) -> None:
    desk.vendor.spoilt["SPY"] = lambda body: body["results"][7].update(c=str(body["results"][7]["c"]))
    with pytest.raises(pytest.fail.Exception, match="waited"):
        desk.capture()
    assert known_changes(desk.lake) == []


def test_a_drifted_answer_leaves_published_rows_and_is_released_into_them(desk: Desk) -> None:
    desk.capture()
    before = desk.published()
    desk.vendor.spoilt["SPY"] = each_row(lambda row: (renamed(row), row.update(n=1)))
    desk.capture(stage_id="s2", force=True)
    assert desk.published().equals(before)
    assert desk.released("equities.v.renamed.vol") == Released((LAST,), ())
    table = desk.published()
    assert set(table.filter(pc.equal(table["ticker"], "SPY"))["transactions"].to_pylist()) == {1}
