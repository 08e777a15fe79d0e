"""Stored answers publish what they published when they came; what has changed since is said or kept, never lost."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import SessionHours
from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.errors import BadResponse, LakeError, NotFound, QualityError
from bellwether.ingest import rawfiles
from bellwether.ingest.audit import audit_session
from bellwether.ingest.finish import validate_stage
from bellwether.ingest.rawfiles import StoredAnswer
from bellwether.ingest.replay import Replayed, replay_session
from bellwether.lake import Coverage, Lake, Manifest, paths, read
from bellwether.lake.coverage import session_coverage
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import column_of
from bellwether.quality.validate import Verdict
from bellwether.quarantine.kept import read_kept
from bellwether.schemas import EQUITIES
from bellwether.sources.minute_bars import MinuteBars
from bellwether.sources.raw import RawPage, Request, from_table, to_table
from tests.bucket import ROOT, Bucket
from tests.builders import SESSION, bars
from tests.unit.ingest.conftest import FakeVendor
from tests.unit.ingest.test_finish import broken, capture, finish

URL = "http://vendor/x"
Publish = Callable[..., Manifest]


@dataclass
class Rules:
    """Rules that can change; the gate's verdicts are the suite's, a hundred times as fast."""

    least_volume: float = 0
    max_share: float = 0.2

    def judge(self, table: pa.Table, *, session_hours: SessionHours, dataset: str, **_: object) -> Verdict:
        report = check_batch(table, session_hours, dataset)
        low = pc.less(column_of(report.table, "volume"), self.least_volume)
        reasons = pc.if_else(low, "low_volume", report.reasons)
        bad = report.table.append_column("reason", reasons).filter(reasons.is_valid())
        failures = ["too many bad rows"] if bad.num_rows > self.max_share * table.num_rows else []
        good = report.table.filter(reasons.is_null()).cast(EQUITIES)
        return Verdict(not failures, good, bad, {}, failures, {}, 0.0)


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> Rules:
    rules = Rules()
    monkeypatch.setattr("bellwether.ingest.finish.validate_session", rules.judge)
    return rules


@pytest.fixture
def publish(lake: Lake, config: Config, vendor: FakeVendor) -> Publish:
    def run(stage_id: str = "s1", **options: object) -> Manifest:
        return finish(lake, config, capture(lake, config, vendor, stage_id=stage_id, **options)).manifest

    return run


@pytest.fixture
def oddities(vendor: FakeVendor) -> None:
    """One ticker of each kind: unknown, empty, with a duplicate, with a bad row."""
    vendor.errors["AAPL"] = NotFound("no such ticker", url=URL, status=404)
    vendor.tables["MSFT"] = bars("MSFT", minutes=0)
    table = bars("QQQ")
    vendor.tables["QQQ"] = pa.concat_tables([table.slice(0, 1), table])
    vendor.tables["SPY"] = broken("SPY", rows=2)


def again(lake: Lake, config: Config, **options: bool) -> Replayed:
    return replay_session(lake, config, "equities", SESSION, **options)


def in_force(lake: Lake) -> Manifest:
    manifest = lake.manifest("equities", SESSION)
    assert manifest is not None
    return manifest


def objects(lake: Lake) -> set[PurePosixPath]:
    """Return all there is in the lake but its locks."""
    keys = {entry.key for entry in lake.storage.list(PurePosixPath())}
    return {key for key in keys if "locks" not in key.parts}


def lose(lake: Lake, *folders: str) -> None:
    for folder in folders:
        lake.storage.delete_folder(PurePosixPath(folder))


def change_raw(lake: Lake, change: Callable[[RawPage], RawPage]) -> None:
    for name in rawfiles.names(lake, "equities", SESSION):
        key = paths.raws("equities", SESSION) / name
        table = lake.read_parquet(key)
        assert table is not None
        lake.write_parquet(key, to_table([change(page) for page in from_table(table)]))


def assert_says_the_same(restored: Manifest, before: Manifest) -> None:
    assert restored.revision == before.revision
    assert restored.coverage == before.coverage
    assert restored.inputs == before.inputs
    assert restored.warnings == before.warnings


def test_a_published_session_is_left_alone(lake: Lake, config: Config, publish: Publish, oddities: None) -> None:
    before = publish()
    kept = objects(lake)
    assert again(lake, config) == Replayed(changed=False, problems={})
    assert in_force(lake) == before
    assert objects(lake) == kept


def test_a_lost_session_comes_back_from_raw_alone_with_every_state(
    lake: Lake, config: Config, publish: Publish, oddities: None
) -> None:
    before = publish()
    assert [before.coverage[ticker].state.value for ticker in ("AAPL", "MSFT", "QQQ", "SPY")] == [
        "unknown_ticker",
        "empty",
        "complete",
        "partial",
    ]
    lose(lake, "clean", "state")
    assert again(lake, config) == Replayed(changed=True, problems={})
    restored = in_force(lake)
    assert_says_the_same(restored, before)
    assert (restored.run_id, restored.api_calls) == ("bellwether replay-raw", 0)
    assert not any("stage/equities/session=2025-07-01/replay-raw" in str(key) for key in objects(lake))


def test_a_session_lost_from_a_bucket_comes_back_too(
    config: Config, vendor: FakeVendor, oddities: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bucket().install(monkeypatch)
    lake = Lake.open(ROOT, simulated=True, clock=SimulatedClock(datetime(2025, 7, 10, tzinfo=UTC), speed=1))
    before = finish(lake, config, capture(lake, config, vendor)).manifest
    lose(lake, "clean", "state/manifests")
    assert again(lake, config) == Replayed(changed=True, problems={})
    assert_says_the_same(in_force(lake), before)


def test_a_ticker_that_had_failed_is_still_failed_in_a_session_that_comes_back(
    lake: Lake, config: Config, vendor: FakeVendor, publish: Publish
) -> None:
    vendor.errors["SPY"] = BadResponse("cut", url=URL)
    before = publish()
    lose(lake, "clean")
    assert again(lake, config) == Replayed(changed=True, problems={})
    assert_says_the_same(in_force(lake), before)
    assert in_force(lake).coverage["SPY"].reason == "BadResponse: cut"


def test_exactly_the_recorded_answers_are_replayed_though_newer_ones_are_there(
    lake: Lake, config: Config, vendor: FakeVendor, publish: Publish
) -> None:
    before = publish()
    vendor.tables["SPY"] = bars("SPY", seed=1)
    capture(lake, config, vendor, stage_id="s2", force=True)  # and died before it published
    assert again(lake, config) == Replayed(changed=False, problems={})
    assert in_force(lake) == before


def test_what_a_run_fetched_and_did_not_publish_is_published_when_the_session_was_lost(
    lake: Lake, config: Config, vendor: FakeVendor, publish: Publish
) -> None:
    publish()
    vendor.tables["SPY"] = bars("SPY", seed=1)
    capture(lake, config, vendor, stage_id="s2", tickers=["SPY"])
    lose(lake, "clean")
    assert again(lake, config).problems == {}
    assert in_force(lake).coverage["SPY"].stage_id == "s2"
    assert in_force(lake).coverage["QQQ"].stage_id == "s1"


def test_several_runs_of_a_lost_session_come_back_as_they_had_merged(
    lake: Lake, config: Config, vendor: FakeVendor, publish: Publish
) -> None:
    publish()
    vendor.tables |= {"SPY": bars("SPY", seed=1), "QQQ": bars("QQQ", minutes=1)}
    publish("s2", tickers=["QQQ", "SPY"], force=True)
    before = in_force(lake)
    assert {ticker: known.stage_id for ticker, known in before.coverage.items()} == {
        "AAPL": "s1",
        "MSFT": "s1",
        "QQQ": "s1",  # the answer of s2 has lost most of its rows
        "SPY": "s2",
    }
    lose(lake, "clean", "state")
    done = again(lake, config)
    assert list(done.problems) == ["QQQ"]
    assert done.problems["QQQ"].startswith("1 rows (complete) in place of 5: the published rows are kept")
    assert in_force(lake).coverage == before.coverage
    assert in_force(lake).revision == before.revision


def test_a_loss_is_replayed_when_it_is_accepted(
    lake: Lake, config: Config, vendor: FakeVendor, publish: Publish
) -> None:
    publish()
    vendor.tables["SPY"] = bars("SPY", minutes=1)
    publish("s2", tickers=["SPY"], force=True)
    lose(lake, "clean", "state")
    assert again(lake, config, accept_loss=True).problems == {}
    assert in_force(lake).coverage["SPY"].rows == 1


def test_a_run_that_quality_refused_is_refused_again_and_the_one_before_it_stands(
    lake: Lake, config: Config, vendor: FakeVendor, publish: Publish
) -> None:
    before = publish()
    vendor.tables["SPY"] = broken("SPY", rows=50)
    with pytest.raises(QualityError):
        validate_stage(lake, config, capture(lake, config, vendor, stage_id="s2", force=True))
    lose(lake, "clean", "state")
    done = again(lake, config)
    assert done.changed
    assert set(done.problems) == {"AAPL", "MSFT", "QQQ", "SPY"}
    assert "nothing was published" in done.problems["AAPL"]
    assert_says_the_same(in_force(lake), before)


def test_a_run_that_quality_refused_troubles_nobody_once_a_later_one_was_good(
    lake: Lake, config: Config, vendor: FakeVendor, publish: Publish
) -> None:
    vendor.tables["SPY"] = broken("SPY", rows=50)
    with pytest.raises(QualityError):
        publish()
    vendor.tables.clear()
    before = publish("s2")
    lose(lake, "clean", "state")
    assert again(lake, config) == Replayed(changed=True, problems={})
    assert_says_the_same(in_force(lake), before)


def test_a_changed_rule_publishes_a_new_revision_of_the_same_answers(
    lake: Lake, config: Config, publish: Publish, rules: Rules
) -> None:
    before = publish()
    rules.least_volume = sorted(read("equities", SESSION, SESSION, root=lake.root)["volume"].to_pylist())[2]
    assert again(lake, config) == Replayed(changed=True, problems={})
    after = in_force(lake)
    assert after.revision != before.revision
    assert after.inputs == before.inputs
    assert (after.rows, after.quarantined_rows) == (before.rows - 2, 2)
    [kept] = read_kept(lake, "equities", SESSION)
    quarantined = kept.table
    assert quarantined["reason"].to_pylist() == ["low_volume", "low_volume"]


def test_a_rule_that_takes_most_of_a_ticker_must_be_accepted(
    lake: Lake, config: Config, vendor: FakeVendor, publish: Publish, rules: Rules
) -> None:
    table = bars("SPY")
    vendor.tables["SPY"] = table.set_column(6, "volume", pa.array([1.0, 1.0, 1.0, 1.0, 9e9]))
    before = publish()
    rules.least_volume, rules.max_share = 10, 0.5
    assert again(lake, config).problems["SPY"].startswith("1 rows (partial) in place of 5")
    assert in_force(lake) == before
    assert again(lake, config, accept_loss=True) == Replayed(changed=True, problems={})
    assert in_force(lake).coverage["SPY"].rows == 1


def test_a_rule_that_refuses_the_session_leaves_it_published(
    lake: Lake, config: Config, publish: Publish, rules: Rules
) -> None:
    before = publish()
    rules.least_volume = 1e12
    done = again(lake, config)
    assert (done.changed, len(done.problems)) == (False, 4)
    assert in_force(lake) == before


def test_a_raw_file_that_is_not_what_was_published_from_is_named_and_nothing_is_published(
    lake: Lake, config: Config, publish: Publish
) -> None:
    before = publish()
    change_raw(lake, lambda page: replace(page, body=page.body.replace(b'"v": ', b'"v": 1')))
    for act in (lambda: again(lake, config), lambda: audit_session(lake, Config(), "equities", SESSION)):
        with pytest.raises(LakeError, match=r"raw/equities/session=2025-07-01/s1/b000-\w+.parquet is not what was"):
            act()
    assert in_force(lake) == before


def test_a_damaged_raw_file_is_named(lake: Lake, config: Config, publish: Publish) -> None:
    publish()
    [name, _] = rawfiles.names(lake, "equities", SESSION)
    lake.storage.write(paths.raws("equities", SESSION) / name, b"PAR1 and no more")
    with pytest.raises(LakeError, match=f"{name} is damaged"):
        again(lake, config)


def test_pages_that_name_no_ticker_are_damage(lake: Lake, config: Config, publish: Publish) -> None:
    publish()
    asked = {"ticker": "../x", "from_ms": "0", "to_ms": "0"}
    change_raw(lake, lambda page: replace(page, request=Request("aggregates", asked)))
    with pytest.raises(LakeError, match="is damaged"):
        again(lake, config)


def test_published_tickers_without_raw_are_reported_and_keep_their_rows(
    lake: Lake, config: Config, publish: Publish
) -> None:
    before = publish()
    lake.storage.delete(paths.raws("equities", SESSION) / rawfiles.names(lake, "equities", SESSION)[1])
    done = again(lake, config)
    assert done.changed is False
    assert list(done.problems) == ["QQQ", "SPY"]
    assert "s1 proves what is published; fetch again by name with force" in done.problems["SPY"]
    assert in_force(lake) == before
    lose(lake, "clean")
    assert list(again(lake, config).problems) == ["QQQ", "SPY"]
    assert list(in_force(lake).coverage) == ["AAPL", "MSFT"]
    known = session_coverage(lake, "equities", SESSION, None)
    assert known.tickers["SPY"].state is Coverage.MISSING


def test_of_two_answers_the_newest_complete_one_is_taken_and_the_other_reported(
    lake: Lake, config: Config, vendor: FakeVendor, publish: Publish
) -> None:
    before = publish()
    capture(lake, config, vendor, stage_id="s1", force=True)
    lose(lake, "clean", "state")
    newest = max(page.received_utc for answer in stored(lake, "SPY") for [pages] in [answer.chains] for page in pages)
    change_raw(lake, lambda page: replace(page, number=1) if page.received_utc == newest else page)
    done = again(lake, config)
    assert list(done.problems) == ["SPY"]
    assert "cannot be used: stored page 0 of answer c-SPY is missing" in done.problems["SPY"]
    assert in_force(lake).revision == before.revision


def test_an_answer_to_a_shorter_session_than_todays_calendar_has_is_not_used(
    lake: Lake, config: Config, publish: Publish
) -> None:
    publish()

    def shorten(page: RawPage) -> RawPage:
        arguments = page.request.arguments
        to_ms = str(int(arguments["to_ms"]) - 60_000)
        return replace(page, request=Request("aggregates", {**arguments, "to_ms": to_ms}))

    change_raw(lake, shorten)
    problems = again(lake, config).problems
    assert list(problems) == ["AAPL", "MSFT", "QQQ", "SPY"]
    assert "T23:58:00.000, while the session is 2025-07-01T08:00:00.000 to 2025-07-01T23:59:00.000" in problems["SPY"]


def test_a_session_without_raw_responses_says_what_fetches_it(lake: Lake, config: Config) -> None:
    with pytest.raises(LakeError, match="no raw responses; `bellwether backfill` fetches"):
        again(lake, config)


def test_a_damaged_index_is_named(lake: Lake, config: Config, publish: Publish) -> None:
    publish()
    lose(lake, "clean")
    lake.storage.write(paths.manifest("equities", SESSION), b"{")
    with pytest.raises(LakeError, match=r"2025-07-01.json is damaged .* delete it"):
        again(lake, config)


class TestAudit:
    """Whether raw responses prove what is published."""

    def test_a_good_session_and_one_never_published_have_no_problems(
        self, lake: Lake, publish: Publish, oddities: None
    ) -> None:
        assert audit_session(lake, Config(), "equities", SESSION) == {}
        publish()
        assert audit_session(lake, Config(), "equities", SESSION) == {}

    def test_every_ticker_without_its_answer_is_named(self, lake: Lake, publish: Publish) -> None:
        publish()
        lake.storage.delete(paths.raws("equities", SESSION) / rawfiles.names(lake, "equities", SESSION)[0])
        assert list(audit_session(lake, Config(), "equities", SESSION)) == ["AAPL", "MSFT"]

    def test_an_answer_that_holds_other_bars_than_were_published_is_named(
        self, lake: Lake, publish: Publish, oddities: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish()
        read_file = rawfiles.read

        def swapped(*arguments: object) -> object:
            file = read_file(*arguments)  # type: ignore[arg-type]
            by_ticker = {answer.subject: answer for answer in file.answers} if file else {}
            if "QQQ" not in by_ticker:
                return file
            [[page]] = by_ticker["QQQ"].chains
            [[swapped_out]] = by_ticker["SPY"].chains
            other = Request("aggregates", {**page.request.arguments, "ticker": "SPY"})
            body = page.body.replace(b'"QQQ"', b'"SPY"')
            spy = replace(by_ticker["SPY"], chains=[[replace(swapped_out, request=other, body=body)]])
            return replace(file, answers=[by_ticker["QQQ"], spy])

        monkeypatch.setattr(rawfiles, "read", swapped)
        problems = audit_session(lake, Config(), "equities", SESSION)
        assert problems == {"SPY": "published as partial of 60 rows, but the raw answer has 6"}

    def test_an_answer_that_cannot_be_used_is_named(self, lake: Lake, publish: Publish) -> None:
        publish()
        change_raw(lake, lambda page: replace(page, number=3))
        assert "cannot be used" in audit_session(lake, Config(), "equities", SESSION)["SPY"]


def stored(lake: Lake, ticker: str) -> list[StoredAnswer]:
    files = [
        rawfiles.read(lake, MinuteBars("equities"), SESSION, name) for name in rawfiles.names(lake, "equities", SESSION)
    ]
    return [answer for file in files if file for answer in file.answers if answer.subject == ticker]
