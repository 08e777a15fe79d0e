"""A session of news, fetched again and again: what is published stays, what changed is added, raw tells it all."""

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from msgspec import structs

from bellwether.calendar import SessionHours
from bellwether.config import Config
from bellwether.config.settings import LateSettings, StreamingSettings
from bellwether.consolidate.news_features import known_ms
from bellwether.errors import ConfigError, NotEntitled, ServerError, VendorError
from bellwether.ingest.audit import audit_session
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import publish_stage, validate_stage
from bellwether.ingest.plan import plan_session
from bellwether.ingest.replay import replay_session
from bellwether.lake import Coverage, Lake, Manifest, paths, read
from bellwether.lake.coverage import session_coverage
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import Publication, put_in_force
from bellwether.lake.revisions import revision_of
from bellwether.news import sentiment
from bellwether.quality.gate import check_batch
from bellwether.quality.validate import Verdict
from bellwether.quarantine.decisions import Action
from bellwether.quarantine.kept import late_rows
from bellwether.quarantine.release import Judged, judge, settle
from bellwether.quarantine.standing import Selection, State, find
from bellwether.schemas import NEWS
from bellwether.sources.endpoints import NEWS as ENDPOINT
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.raw import RawPage
from bellwether.streaming.batches import Writer
from bellwether.streaming.feedtime import FeedTime, to_ms
from bellwether.streaming.news import NewsPoller
from bellwether.tickers import WHOLE
from bellwether.verify.outcome import State as Verified
from bellwether.verify.session import verify
from tests.unit.news.articles import Fixed
from tests.unit.sources.test_news import article
from tests.unit.streaming.feeds import Hand

DAY = date(2025, 7, 7)
PUBLISHED = datetime(2025, 7, 5, 12, tzinfo=UTC)  # a Saturday
FIRST_ASKED = datetime(2025, 7, 8, tzinfo=UTC)


class NewsVendor:
    """Stands where `PolygonRest` does; answers what it is given, one hour after the other."""

    def __init__(self) -> None:
        self.articles: list[dict[str, Any]] = [article("a1", PUBLISHED), article("a2", PUBLISHED, ["A", "SPY"])]
        self.error: VendorError | None = None
        self.asked = 0

    def reading(self, _take: object) -> "NewsVendor":
        return self

    def listing(self, endpoint: Any, filters: Mapping[str, Any], *, page_log: object) -> Listing[Any]:
        assert endpoint is ENDPOINT
        self.asked += 1
        if self.error is not None:
            raise self.error
        chain = ListingChain.asking(endpoint, filters)
        body = {"status": "OK", "request_id": "r", "count": len(self.articles), "results": self.articles}
        seen = FIRST_ASKED + timedelta(hours=self.asked)
        page = RawPage(chain.request, f"c{self.asked}", 0, "http://v", 200, "r", {}, seen, json.dumps(body).encode())
        chain.take(page.body, url=page.url)
        return chain.answer((page,), 1)


@pytest.fixture
def vendor() -> NewsVendor:
    return NewsVendor()


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge rows by the gate alone, whose verdicts are the suite's, and texts not at all."""

    def judge(table: pa.Table, *, session_hours: SessionHours, dataset: str, **_: object) -> Verdict:
        report = check_batch(table, session_hours, dataset)
        bad = report.table.append_column("reason", report.reasons).filter(report.reasons.is_valid())
        good = report.table.filter(report.reasons.is_null()).cast(NEWS)
        return Verdict(True, good, bad, {}, [], {}, 0.0)

    monkeypatch.setattr("bellwether.ingest.finish.validate_session", judge)
    monkeypatch.setattr(sentiment.LexiconExtractor, "name", "lexicon:fixed-1")
    monkeypatch.setattr(sentiment.LexiconExtractor, "extract", lambda _, *asked: Fixed().extract(*asked))
    monkeypatch.setattr("bellwether.news.rows.language_of", lambda _: "en")
    monkeypatch.setattr("bellwether.news.sentiment.language_of", lambda _: "en")


class Runs:
    """Captures the session, run by run."""

    def __init__(self, lake: Lake, config: Config, vendor: NewsVendor) -> None:
        self.lake, self.config, self.vendor = lake, config, vendor
        self.number = 0

    def fetch(self, **options: Any) -> str:
        self.number += 1
        stage_id = f"s{self.number}"
        batches = plan_session(
            self.lake, self.config, self.vendor, "news", DAY, stage_id=stage_id, force=True, **options
        )
        [batch] = batches
        assert batch.tickers == (WHOLE,)
        fetch_batch(self.lake, self.vendor, self.config, batch)
        validate_stage(self.lake, self.config, batches)
        return stage_id

    def publish(self, stage_id: str | None = None) -> Publication:
        name = stage_id or self.fetch()
        return publish_stage(self.lake, self.config, "news", DAY, stage_id=name, run_id=name)

    @property
    def manifest(self) -> Manifest:
        manifest = self.lake.manifest("news", DAY)
        assert manifest is not None
        return manifest

    def rows(self, **options: Any) -> list[tuple[Any, ...]]:
        """Return article, ticker, version and title of what is published."""
        columns = ["article_id", "ticker", "version", "title"]
        table = read("news", DAY, DAY, columns=columns, root=self.lake.root, **options)
        return [tuple(row.values()) for row in table.to_pylist()]


@pytest.fixture
def runs(lake: Lake, config: Config, vendor: NewsVendor) -> Runs:
    return Runs(lake, config, vendor)


TITLE = "Halverton tops estimates"
FIRST = [("a2", "A", 1, TITLE), ("a1", "SPY", 1, TITLE), ("a2", "SPY", 1, TITLE)]


def test_a_session_is_one_subject_with_a_row_for_each_article_and_ticker(runs: Runs, lake: Lake) -> None:
    runs.vendor.articles.append(article("a3", PUBLISHED, []))
    assert runs.publish().changed
    assert runs.rows() == FIRST
    assert runs.rows(tickers="A") == FIRST[:1]
    manifest = runs.manifest
    assert (manifest.coverage[WHOLE].state, manifest.coverage[WHOLE].rows, manifest.rows) == (Coverage.COMPLETE, 3, 3)
    assert (manifest.warnings["articles_without_ticker"], manifest.warnings["malformed_tickers"]) == (1, 0)
    known = session_coverage(lake, "news", DAY, None)
    assert (known.is_complete, known.universe.required, known.universe.origin) == (True, (WHOLE,), "the whole feed")


def test_fetched_again_without_a_difference_nothing_changes_not_even_the_first_sight(runs: Runs) -> None:
    runs.publish()
    before, seen = runs.manifest, read("news", DAY, DAY, root=runs.lake.root)
    assert not runs.publish().changed
    assert runs.manifest == before
    assert read("news", DAY, DAY, root=runs.lake.root).equals(seen)
    assert set(seen["first_seen_utc"].to_pylist()) == {FIRST_ASKED + timedelta(hours=1)}


def test_a_changed_text_is_a_second_version_and_both_are_read(runs: Runs) -> None:
    first = runs.publish().manifest
    runs.vendor.articles[0]["title"] = "Halverton misses estimates"
    publication = runs.publish()
    assert publication.changed
    assert runs.rows() == [*FIRST[:2], ("a1", "SPY", 2, "Halverton misses estimates"), FIRST[2]]
    assert publication.manifest.coverage[WHOLE].rows == publication.manifest.rows == 4
    assert set(publication.manifest.inputs) == {*first.inputs, *publication.manifest.inputs}
    assert len(publication.manifest.inputs) == 2
    assert runs.rows(as_of=first.published_utc) == FIRST


def test_a_version_that_comes_a_day_after_its_article_is_late_beside_what_is_published(runs: Runs) -> None:
    late = runs.config.settings.model_copy(update={"late": LateSettings()})
    runs.config = runs.config.model_copy(update={"settings": late})
    assert "late_rows" not in runs.publish().manifest.warnings, "a first answer is never late"
    runs.vendor.articles[0]["title"] = "Halverton misses estimates"
    runs.vendor.articles.append(article("a3", FIRST_ASKED - timedelta(hours=5)))
    publication = runs.publish()
    assert [row[0] for row in runs.rows() if row[2] == 1] == ["a2", "a1", "a2", "a3"]
    assert publication.manifest.warnings["late_rows"] == 1
    [row] = late_rows(runs.lake, "news", DAY).to_pylist()
    assert (row["article_id"], row["title"], row["reason"]) == ("a1", "Halverton misses estimates", "late")
    assert not runs.publish("s2").changed
    assert audit_session(runs.lake, runs.config, "news", DAY) == {}
    assert replay_session(runs.lake, runs.config, "news", DAY).problems == {}
    assert runs.manifest.warnings["late_rows"] == 1


def test_versions_that_came_too_late_wait_however_many_answers_follow_and_however_often_they_come(runs: Runs) -> None:
    late = runs.config.settings.model_copy(update={"late": LateSettings()})
    runs.config = runs.config.model_copy(update={"settings": late})
    before = runs.publish().manifest.revision
    first, second = "Halverton misses estimates", "Halverton misses estimates by far"
    for title, counted in ((first, 1), (first, 1), (second, 2), (first, 2)):
        runs.vendor.articles[0]["title"] = title
        assert runs.publish().manifest.warnings["late_rows"] == counted
    standing = find(runs.lake, Selection(datasets=("news",)))
    assert {(row.values["title"], row.state) for row in standing} == {(first, State.OPEN), (second, State.OPEN)}
    assert [len(row.seen_utc) for row in sorted(standing, key=lambda row: row.values["title"])] == [3, 1]
    assert runs.manifest.revision == before
    assert audit_session(runs.lake, runs.config, "news", DAY) == {}
    assert verified(runs) == (Verified.EQUAL, "")
    judged = judge(runs.lake, Action.RELEASED, standing)
    assert settle(runs.lake, runs.config, judged, by="ann", why="true", run_id="r").published == (("news", DAY),)
    assert [title for name, ticker, _, title in runs.rows() if name == "a1"] == [TITLE, first, second]
    seen = read("news", DAY, DAY, root=runs.lake.root).filter(pc.field("title") == first)["first_seen_utc"]
    assert seen.to_pylist() == [FIRST_ASKED + timedelta(hours=2)], "when it was seen first, however often it came"
    assert audit_session(runs.lake, runs.config, "news", DAY) == {}
    assert verified(runs) == (Verified.EQUAL, "")


def late_correction(runs: Runs) -> tuple[str, Judged]:
    """Have an article come too late with another title; return that, and what releasing it would do."""
    late = runs.config.settings.model_copy(update={"late": LateSettings()})
    runs.config = runs.config.model_copy(update={"settings": late})
    runs.publish()
    runs.vendor.articles[0]["title"] = title = "Halverton misses estimates"
    runs.publish()
    return title, judge(runs.lake, Action.RELEASED, find(runs.lake, Selection(datasets=("news",))))


def test_a_late_version_whose_release_died_comes_in_with_the_next_answer(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        """Stands for the death of a process."""

    def die(step: str, _session: object) -> None:
        if step == "release.decided":
            raise Died

    title, judged = late_correction(runs)
    with monkeypatch.context() as patch:
        patch.setattr("bellwether.quarantine.release.reach", die)
        with pytest.raises(Died):
            settle(runs.lake, runs.config, judged, by="ann", why="true", run_id="r")
    runs.publish()
    assert ("a1", "SPY", 2, title) in runs.rows()
    assert [row.state for row in find(runs.lake, Selection(datasets=("news",)))] == [State.RELEASED]
    assert verified(runs) == (Verified.EQUAL, "")


def test_a_late_version_that_was_released_stays_through_answers_that_lack_it_and_replays(runs: Runs) -> None:
    title, judged = late_correction(runs)
    runs.vendor.articles[0]["title"] = "Halverton meets estimates"
    runs.publish()
    settle(runs.lake, runs.config, judged, by="ann", why="true", run_id="r")
    runs.vendor.articles[0]["title"] = TITLE
    runs.publish()
    assert ("a1", "SPY", 2, title) in runs.rows()
    assert not replay_session(runs.lake, runs.config, "news", DAY).changed
    assert verified(runs) == (Verified.EQUAL, "")


def verified(runs: Runs) -> tuple[Verified, str]:
    [outcome] = verify(runs.lake, runs.config, DAY)
    return outcome.state, outcome.why


def test_a_published_version_that_raw_does_not_come_to_is_found_also_beside_late_ones(runs: Runs) -> None:
    late = runs.config.settings.model_copy(update={"late": LateSettings()})
    runs.config = runs.config.model_copy(update={"settings": late})
    runs.publish()
    runs.vendor.articles[0]["title"] = "Halverton misses estimates"
    runs.publish()
    current = runs.lake.partition("news", DAY)
    assert current is not None
    table = current.table.slice(1)
    changed = {"publication_id": "x", "revision": revision_of(table), "rows": table.num_rows}
    layout = FileLayout(runs.config.sinks.of("news"), "snappy")
    assert put_in_force(runs.lake, table, structs.replace(current.manifest, **changed), current, layout)
    assert audit_session(runs.lake, runs.config, "news", DAY) == {
        WHOLE: "published are 2 rows, but the raw answers come to 3"
    }


def test_an_answer_that_lost_articles_loses_none_that_are_published(runs: Runs) -> None:
    runs.publish()
    before = runs.manifest
    for left in ([article("a1", PUBLISHED)], []):
        runs.vendor.articles = left
        publication = runs.publish()
        assert (publication.changed, publication.refused) == (False, {})
    assert runs.manifest == before
    runs.vendor.articles = [article("a4", PUBLISHED)]
    added = runs.publish().manifest
    assert (added.rows, added.coverage[WHOLE].rows, added.coverage[WHOLE].state) == (4, 4, Coverage.COMPLETE)


def test_an_answer_that_is_published_late_adds_and_leaves_the_newer_one_its_coverage(runs: Runs) -> None:
    old = runs.fetch()
    runs.vendor.articles[0]["title"] = "Halverton misses estimates"
    newer = runs.publish().manifest
    assert runs.publish(old).changed
    assert [row for row in runs.rows() if row[0] == "a1"] == [
        ("a1", "SPY", 1, TITLE),
        ("a1", "SPY", 2, "Halverton misses estimates"),
    ]
    assert runs.manifest.coverage[WHOLE].fetched_utc == newer.coverage[WHOLE].fetched_utc
    assert runs.manifest.coverage[WHOLE].rows == 4


def test_a_session_without_articles_is_empty_and_complete(runs: Runs) -> None:
    runs.vendor.articles = []
    runs.publish()
    assert (runs.manifest.rows, runs.manifest.coverage[WHOLE].state) == (0, Coverage.EMPTY)
    runs.vendor.articles = [article("a1", PUBLISHED)]
    runs.publish()
    assert (runs.manifest.rows, runs.manifest.coverage[WHOLE].state) == (1, Coverage.COMPLETE)


def test_a_plan_without_news_is_no_failure_and_displaces_nothing(runs: Runs) -> None:
    runs.vendor.error = NotEntitled("not in your plan", url="http://v", status=403)
    runs.publish()
    assert (runs.manifest.rows, runs.manifest.coverage[WHOLE].state) == (0, Coverage.NOT_ENTITLED)
    runs.vendor.error = None
    runs.publish()
    before = runs.manifest
    assert before.coverage[WHOLE].state == Coverage.COMPLETE
    runs.vendor.error = NotEntitled("not in your plan", url="http://v", status=403)
    assert list(runs.publish().refused) == [WHOLE]
    assert runs.manifest == before


def test_a_failed_answer_is_an_error_and_keeps_what_is_published(runs: Runs) -> None:
    runs.publish()
    runs.vendor.error = ServerError("boom", url="http://v", status=500)
    with pytest.raises(ServerError):
        runs.fetch()
    assert runs.rows() == FIRST


def test_an_article_without_a_title_or_with_a_finer_time_is_quarantined_alone(runs: Runs) -> None:
    runs.vendor.articles += [
        article("a3", PUBLISHED, title="<p>\u200b</p>"),
        article("a4", PUBLISHED + timedelta(microseconds=1)),
    ]
    runs.publish()
    known = runs.manifest.coverage[WHOLE]
    assert (runs.rows(), known.state, known.rows, known.quarantined_rows) == (FIRST, Coverage.PARTIAL, 3, 2)
    assert audit_session(runs.lake, runs.config, "news", DAY) == {}


def test_no_tickers_can_be_named(runs: Runs) -> None:
    with pytest.raises(ConfigError, match="news are asked for all at once"):
        runs.fetch(tickers=["SPY"])
    assert runs.vendor.asked == 0


class TestSeenLive:
    """What was polled while the session went on."""

    @pytest.fixture
    def sights(self, runs: Runs) -> dict[str, datetime]:
        """Poll twice, a title changes in between and once more before the daily pull; return when that was."""
        hand = Hand()
        seen = {"first": PUBLISHED + timedelta(minutes=10), "second": PUBLISHED + timedelta(minutes=15)}
        for hand.moment, title in zip(seen.values(), (TITLE, "Halverton misses estimates"), strict=True):
            runs.vendor.articles[0]["title"] = title
            NewsPoller(
                runs.lake,
                DAY,
                Writer("run", 1, 1),
                runs.vendor,
                feed=FeedTime(hand),
                settings=StreamingSettings(),
                extractor=sentiment.LexiconExtractor(),
            ).poll()
        runs.vendor.articles = [article("a1", PUBLISHED, title="Halverton restates estimates"), runs.vendor.articles[1]]
        return seen | {"daily": FIRST_ASKED + timedelta(hours=3)}

    def test_the_daily_pull_keeps_every_version_and_when_it_was_first_seen(
        self, runs: Runs, sights: dict[str, datetime]
    ) -> None:
        manifest = runs.publish().manifest
        assert (manifest.rows, manifest.coverage[WHOLE].rows) == (5, 5)
        table = read("news", DAY, DAY, root=runs.lake.root)
        found = {(row["article_id"], row["ticker"], row["version"]): row["first_seen_utc"] for row in table.to_pylist()}
        assert found == {
            ("a1", "SPY", 1): sights["first"],
            ("a1", "SPY", 2): sights["second"],
            ("a1", "SPY", 3): sights["daily"],
            ("a2", "A", 1): sights["first"],
            ("a2", "SPY", 1): sights["first"],
        }
        # For gold they were known from then on, not from some time after their publication.
        known = dict(zip(found, known_ms(table, 60).tolist(), strict=True))
        assert {key: to_ms(seen) for key, seen in found.items()} == known

    def test_fetched_again_or_from_raw_alone_it_comes_to_the_same(
        self, runs: Runs, sights: dict[str, datetime]
    ) -> None:
        runs.publish()
        before, published = runs.manifest, read("news", DAY, DAY, root=runs.lake.root)
        assert not runs.publish().changed
        assert audit_session(runs.lake, runs.config, "news", DAY) == {}
        runs.lake.storage.delete_folder(PurePosixPath("clean"))
        assert replay_session(runs.lake, runs.config, "news", DAY).problems == {}
        assert runs.manifest.revision == before.revision
        assert read("news", DAY, DAY, root=runs.lake.root).equals(published)

    def test_what_is_gone_when_the_daily_pull_comes_stays(self, runs: Runs, sights: dict[str, datetime]) -> None:
        runs.vendor.articles = []
        runs.publish()
        known = runs.manifest.coverage[WHOLE]
        assert (known.state, known.rows, runs.manifest.rows) == (Coverage.COMPLETE, 4, 4)

    def test_a_plan_without_news_is_told_as_such(self, runs: Runs, sights: dict[str, datetime]) -> None:
        runs.vendor.error = NotEntitled("not in your plan", url="http://v", status=403)
        runs.publish()
        assert (runs.manifest.rows, runs.manifest.coverage[WHOLE].state) == (0, Coverage.NOT_ENTITLED)


class TestReplay:
    """From raw alone."""

    @pytest.fixture
    def twice(self, runs: Runs) -> Manifest:
        """Publish two generations; a third answer says nothing new."""
        runs.publish()
        runs.vendor.articles = [
            article("a1", PUBLISHED, title="Halverton misses estimates"),
            article("a5", PUBLISHED, []),
            article("a6", PUBLISHED, ["../x", "QQQ"]),
        ]
        second = runs.publish().manifest
        assert not runs.publish().changed
        return second

    def test_a_session_published_twice_comes_back_with_both_versions(self, runs: Runs, twice: Manifest) -> None:
        before = read("news", DAY, DAY, root=runs.lake.root)
        for lost in (("clean",), ("clean", "state", "stage", "quarantine", "revisions")):
            for folder in lost:
                runs.lake.storage.delete_folder(PurePosixPath(folder))
            replayed = replay_session(runs.lake, runs.config, "news", DAY)
            assert (replayed.changed, replayed.problems) == (True, {})
            restored = runs.manifest
            assert (restored.revision, restored.coverage, restored.inputs, restored.warnings) == (
                twice.revision,
                twice.coverage,
                twice.inputs,
                twice.warnings,
            )
            assert read("news", DAY, DAY, root=runs.lake.root).equals(before)

    def test_a_published_session_is_left_alone(self, runs: Runs, twice: Manifest) -> None:
        replayed = replay_session(runs.lake, runs.config, "news", DAY)
        assert (replayed.changed, replayed.problems) == (False, {})
        assert runs.manifest == twice
        assert audit_session(runs.lake, runs.config, "news", DAY) == {}

    def test_an_answer_that_is_gone_is_named_and_its_rows_stay(self, runs: Runs, twice: Manifest) -> None:
        gone = min(twice.inputs)
        runs.lake.storage.delete(paths.raws("news", DAY) / gone)
        replayed = replay_session(runs.lake, runs.config, "news", DAY)
        assert replayed.problems[WHOLE].startswith(f"{gone} is gone from ")
        assert audit_session(runs.lake, runs.config, "news", DAY) == replayed.problems
        assert runs.manifest == twice

    def test_an_answer_to_another_question_is_named(
        self, runs: Runs, twice: Manifest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(
            sys.modules["bellwether.sources.news"].SPANS,  # type: ignore[arg-type]
            "news",
            lambda hours: (hours.close - timedelta(days=9), hours.close),
        )
        for problems in (
            replay_session(runs.lake, runs.config, "news", DAY).problems,
            audit_session(runs.lake, runs.config, "news", DAY),
        ):
            assert "while the session is" in problems[WHOLE]

    def test_rows_that_raw_does_not_have_are_reported(
        self, runs: Runs, twice: Manifest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bellwether.sources.news.tickers_of", lambda _: ([], []))
        monkeypatch.setattr("bellwether.news.rows.tickers_of", lambda _: ([], []))
        assert audit_session(runs.lake, runs.config, "news", DAY) == {
            WHOLE: "published are 5 rows, but the raw answers come to 0"
        }


def test_what_judges_texts_is_loaded_by_who_judges_only() -> None:
    code = "import sys, bellwether.ingest.fetch, bellwether.ingest.finish; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"py3langid", "vaderSentiment", "great_expectations"} & set(loaded) == set()
