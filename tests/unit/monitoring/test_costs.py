"""What is told of the performance of the sessions looked back on."""

from datetime import timedelta
from pathlib import Path

from msgspec import structs

from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.lake import Coverage, Lake, paths
from bellwether.lake.manifest import encode
from bellwether.monitoring.costs import as_json, as_markdown, costs, grouped, look_at_performance
from bellwether.monitoring.health import Health, Standing, problems
from bellwether.monitoring.health import as_markdown as health_markdown
from tests.builders import publish_bars
from tests.tries import BEGAN, SESSION, met, running, tried

CONFIG = Config.load(None, {})
GOLD = Standing(SESSION, "minutes", True, Coverage.COMPLETE, "", None)


def test_errors_are_told_once_for_each_class_dataset_and_session() -> None:
    first, second = (
        tried(errors={"RateLimited": met(9, words="later")}),
        tried(map_index=1, errors={"RateLimited": met(2, 3, words="slow | down"), "ServerError": met(5)}),
    )
    other = tried(dataset="options", errors={"RateLimited": met(1)})
    found = {(each.dataset, each.error): each for each in grouped([first, second, other])}
    assert {key: (each.count, each.tries) for key, each in found.items()} == {
        ("equities", "RateLimited"): (3, 2),
        ("equities", "ServerError"): (1, 1),
        ("options", "RateLimited"): (1, 1),
    }
    limited = found["equities", "RateLimited"]
    assert (limited.cause, limited.example) == ("rate_limit", "slow | down")
    assert (limited.first_utc, limited.last_utc) == (BEGAN + timedelta(seconds=2), BEGAN + timedelta(seconds=9))


def test_costs_are_summed_by_dataset() -> None:
    tries = [tried(map_index=n, vendor_s=40.0, rows=10, api_calls=3) for n in range(3)] + [tried(dataset="news")]
    equities, news = costs(tries)
    assert (equities.tries, equities.duration_s, equities.vendor_s, equities.rows) == (3, 180.0, 120.0, 30)
    assert (news.dataset, news.api_calls) == ("news", 0)


def test_the_report_tells_costs_errors_and_what_has_passed_and_problems_only_what_has_not(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True, clock=SimulatedClock(BEGAN + timedelta(hours=1), speed=0))
    burst = {"ServerError": met(*range(10), words="a | b\n")}
    told = [
        tried(state="failed", errors=burst),
        tried(try_number=2, rows=1234),
        tried(dataset="news", dag_id="news_daily", state="failed", errors=burst),
        running(timedelta(minutes=1), task_id="publish", map_index=-1),
    ]
    for record in told:
        lake.storage.write(record.identity.key, encode(record))
    found = look_at_performance(lake, CONFIG, [SESSION])
    health = Health(SESSION, lake.clock.now(), (GOLD,), found)
    assert {(each.dataset, each.state, each.cause) for each in problems(health, [])} == {
        ("news", "error burst", "vendor"),
        ("equities", "stale", "ours"),
    }
    page = health_markdown(health, [])
    assert "#### Performance of 2025-07-01" in page
    assert "| equities | 3 | 180.0 | 0.0 | 0.0 | 0.0 | 0.0 | 0 | 1,234 | 0.0 | 0.0 |" in page
    assert "- 2025-07-01 equities: error burst (vendor), recovered at 00:16:00 UTC." in page
    assert "| 2025-07-01 | equities | ServerError | vendor | 10 | 07-02 00:15:00 | 07-02 00:15:09 | a / b" in page
    told_to_machines = as_json(found)
    assert [each["kind"] for each in told_to_machines["findings"]] == ["stale", "error burst", "error burst"]
    assert told_to_machines["costs"][0]["dataset"] == "equities"


def test_a_damaged_partition_is_a_problem_and_holds_up_nothing(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    lake.storage.write(paths.partition("performance", SESSION), b"damaged")
    found = look_at_performance(lake, CONFIG, [SESSION])
    health = Health(SESSION, lake.clock.now(), (GOLD,), found)
    [problem] = problems(health, [])
    assert (problem.dataset, problem.state, "is damaged" in problem.why) == ("performance", "failed", True)
    assert "No task has told anything of it." in as_markdown(found, 5)


def test_a_required_source_without_a_row_is_no_data_unless_that_happens(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    sessions = [SESSION, SESSION + timedelta(days=1), SESSION + timedelta(days=2)]
    publish_bars(lake, ["SPY"], sessions[0])
    full = lake.manifest("equities", sessions[0])
    assert full is not None
    none = structs.replace(full, rows=0)

    def said(*manifests: object, required: bool = True) -> list[str]:
        standings = tuple(
            Standing(session, "equities", required, Coverage.COMPLETE, "", manifest)  # type: ignore[arg-type]
            for session, manifest in zip(sessions, manifests, strict=False)
        )
        return [f"{each.session} {each.state}" for each in problems(Health(sessions[2], BEGAN, standings), [])]

    assert said(full, none, none) == ["2025-07-02 no data"]
    assert said(full, none, none, required=False) == []
    assert said(full, full, None) == []
