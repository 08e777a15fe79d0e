"""News from the vendor's wire to published rows and back from raw, by the command line, against the simulator."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from bellwether.cli.main import main
from bellwether.lake import Coverage, Lake, Manifest, read
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.records import Article, Insight, Publisher
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

THURSDAY, MONDAY, TUESDAY = date(2025, 7, 3), date(2025, 7, 7), date(2025, 7, 8)  # Friday was Independence Day
HALF_DAY_CLOSE = datetime(2025, 7, 3, 17, tzinfo=UTC)
CLOSE = datetime(2025, 7, 7, 20, tzinfo=UTC)
SATURDAY = datetime(2025, 7, 5, 12, tzinfo=UTC)
HOUSE = Publisher("Loopback Wire", "https://w.example.com/", "https://w.example.com/l", "https://w.example.com/f")
PATH = "/v2/reference/news"


def article(name: str, published: datetime = SATURDAY, **changes: Any) -> Article:
    values: dict[str, Any] = {
        "id": name,
        "publisher": HOUSE,
        "title": "Halverton shares surge after blowout earnings",
        "author": "A. Writer",
        "published_utc": published.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "article_url": f"https://w.example.com/{name}",
        "tickers": ["SPY"],
    }
    return Article(**values | changes)


class Feed(GeneratedMarket):
    """A market whose news are what a test puts there."""

    def __init__(self) -> None:
        super().__init__(seed=7, tickers=["SPY"])
        self.news: list[Article] = []

    def articles(
        self, first: datetime, last: datetime, ticker: str | None, *, newest_first: bool, as_of: datetime
    ) -> Iterator[Article]:
        del as_of
        assert ticker is None
        assert not newest_first
        for each in sorted(self.news, key=lambda each: each.published_utc):
            if first <= datetime.fromisoformat(each.published_utc) <= last:
                yield each


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Feed, RunningSimulator]]:
    feed = Feed()
    with running(SimulatorConfig(market=feed)) as simulator:
        yield feed, simulator


@pytest.fixture
def feed(served: tuple[Feed, RunningSimulator]) -> Feed:
    served[0].news = []
    return served[0]


@pytest.fixture
def simulator(served: tuple[Feed, RunningSimulator]) -> RunningSimulator:
    served[1].faults.clear()
    served[1].requests.clear()
    return served[1]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BELLWETHER__LAKE__ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("BELLWETHER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "retry_policy.yaml").write_text('{"errors": {"RateLimited": {"attempts": 1}}}')
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "lake"


def run(command: str, *options: str, first: date = MONDAY, last: date = MONDAY) -> int:
    return main([command, "news", "--start", str(first), "--end", str(last), *options])


def rows(root: Path, session: date = MONDAY, **options: Any) -> list[dict[str, Any]]:
    return read("news", session, session, root=root, **options).to_pylist()


def manifest(root: Path) -> Manifest:
    found = Lake.open(root).manifest("news", MONDAY)
    assert found is not None
    return found


def test_weekend_and_holiday_are_mondays_and_a_close_parts_sessions_to_the_second(
    feed: Feed, simulator: RunningSimulator, root: Path
) -> None:
    second = timedelta(seconds=1)
    feed.news = [
        article("as Thursday closed at 13:00", HALF_DAY_CLOSE),
        article("a second later", HALF_DAY_CLOSE + second),
        article("on the holiday", datetime(2025, 7, 4, 15, tzinfo=UTC)),
        article("on Saturday"),
        article("as Monday closed", CLOSE),
        article("after it", CLOSE + second),
    ]
    assert run("backfill", "--url", simulator.url, first=THURSDAY, last=TUESDAY) == 0
    found = [[row["article_id"] for row in rows(root, day)] for day in (THURSDAY, MONDAY, TUESDAY)]
    names = [each.id for each in feed.news]
    assert found == [names[:1], names[1:5], names[5:]]
    assert run("coverage", first=THURSDAY, last=TUESDAY) == 0


def test_every_kind_of_article_becomes_clean_rows_or_a_count(
    feed: Feed, simulator: RunningSimulator, root: Path
) -> None:
    crowd = [f"T{number}" for number in range(10_000)]
    feed.news = [
        article(
            "html", title="<b>Halverton</b>&nbsp;shares\u0007 <script>x()</script>surge\n", keywords=["a", "<i>b</i>"]
        ),
        article("foreign", title="Der Aktienkurs steigt nach den Quartalszahlen deutlich", tickers=["SAP"]),
        article("judged", tickers=["AAPL", "SPY"], insights=[Insight("AAPL", "negative", "Weak &amp; slow")]),
        article("nobody", tickers=[]),
        article("strange", tickers=["X:BTCUSD", "QQQ"]),
        article("untitled", title="<p> </p>"),
        article("crowd", tickers=crowd),
    ]
    assert run("backfill", "--url", simulator.url) == 0
    found = {(row["article_id"], row["ticker"]): row for row in rows(root, tickers=["AAPL", "QQQ", "SAP", "SPY"])}
    assert sorted(found) == [
        ("foreign", "SAP"),
        ("html", "SPY"),
        ("judged", "AAPL"),
        ("judged", "SPY"),
        ("strange", "QQQ"),
    ]
    html = found["html", "SPY"]
    assert (html["title"], html["keywords"], html["description"]) == ("Halverton shares surge", "a|b", None)
    assert (html["sentiment_label"], html["sentiment_source"][:14]) == ("positive", "lexicon:vader-")
    foreign = found["foreign", "SAP"]
    assert (foreign["language"], foreign["sentiment"], foreign["sentiment_source"]) == ("de", None, "none:not_english")
    judged = found["judged", "AAPL"]
    assert (judged["sentiment"], judged["sentiment_source"], judged["sentiment_reasoning"]) == (
        -1,
        "vendor",
        "Weak & slow",
    )
    assert found["judged", "SPY"]["sentiment_source"] == html["sentiment_source"]
    known = manifest(root)
    assert known.rows == 10_005
    assert (known.coverage["*"].state, known.coverage["*"].quarantined_rows) == (Coverage.PARTIAL, 1)
    counted = {name: count for name, count in known.warnings.items() if count}
    assert counted == {"articles_without_ticker": 1, "malformed_tickers": 1, "no_sentiment": 1}


def test_more_than_a_page_of_articles_comes_whole_and_resumes_where_the_rate_limit_broke_it_off(
    feed: Feed, simulator: RunningSimulator, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed.news = [article(f"a{number:04d}", SATURDAY + timedelta(seconds=number)) for number in range(2_500)]
    simulator.faults.add(Fault(kind="rate_limited", path=PATH, nth=2, count=None))
    assert run("backfill", "--url", simulator.url) == 1
    assert "RateLimited" in capsys.readouterr().err
    assert Lake.open(root).manifest("news", MONDAY) is None
    simulator.faults.clear()
    simulator.requests.clear()
    assert run("backfill", "--url", simulator.url) == 0
    assert len(simulator.requests) == 2
    assert manifest(root).rows == 2_500


def test_a_changed_article_is_a_version_more_and_raw_alone_tells_both(
    feed: Feed, simulator: RunningSimulator, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed.news = [article("a1"), article("a2", tickers=["A", "SPY"])]
    assert run("backfill", "--url", simulator.url) == 0
    first = manifest(root)
    assert run("backfill", "--url", simulator.url, "--force") == 0
    assert manifest(root) == first
    feed.news = [article("a1", title="Halverton shares plunge after fraud probe")]
    assert run("backfill", "--url", simulator.url, "--force") == 0
    told = [(row["article_id"], row["ticker"], row["version"], row["sentiment_label"]) for row in rows(root)]
    assert told == [
        ("a2", "A", 1, "positive"),
        ("a1", "SPY", 1, "positive"),
        ("a1", "SPY", 2, "negative"),
        ("a2", "SPY", 1, "positive"),
    ]
    second = manifest(root)
    for lost in ("clean", "state", "stage", "revisions"):
        rmtree(root / lost, ignore_errors=True)
    assert run("replay-raw") == 0
    restored = manifest(root)
    assert (restored.revision, restored.coverage, restored.inputs) == (second.revision, second.coverage, second.inputs)
    assert run("replay-raw", "--check") == 0
    assert "0 problems" in capsys.readouterr().err


def test_the_commands_speak_of_the_whole_feed(
    feed: Feed, simulator: RunningSimulator, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed.news = [article("a1")]
    assert run("backfill", "--url", simulator.url, "--tickers", "SPY") == 2
    assert "news are asked for all at once" in capsys.readouterr().err
    Lake.open(root, simulated=True)
    assert run("coverage") == 1
    assert "the whole feed" in capsys.readouterr().out
    assert run("backfill", "--url", simulator.url) == 0
    assert run("coverage", "--json") == 0
    [line] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["ticker"], line["role"], line["state"], line["rows"]) == ("*", "required", "complete", 1)
    assert main(["universe", "news", "--session", str(MONDAY)]) == 0
    assert capsys.readouterr().out.startswith("2025-07-07: the whole feed, resolved 20")
