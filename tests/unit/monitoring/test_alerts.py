"""What people are told of a failed run, and when they are not."""

from datetime import UTC, date, datetime

import pytest

from bellwether import errors
from bellwether.config import Alerts, Mute
from bellwether.errors import NotEntitled, QualityError, RateLimited
from bellwether.logging import register_secret
from bellwether.monitoring.alerts import (
    Cause,
    FailedRun,
    Failures,
    Message,
    compose,
    compose_stall,
    describe,
    group,
    together,
    why_quiet,
)

URL = "http://airflow/dags/equities_daily/runs/scheduled__2025-07-01__x"
TAIL = f"\n\nClear the failed tasks with everything downstream: {URL}"
RATE = "the key's requests were used up; see that nothing else uses the key, then clear"
KILLED = "the task ended without a word: killed, or out of memory; see the machine's log, then clear"
FETCH = {"ingest[1]": "RateLimited: slow down", "report": "AirflowFailException"}


LOST = "nobody can capture this session any more; see why its run came late, so that the next one does not"


def run(
    tasks: dict[str, str | None] | None = None, failures: Failures | None = None, reason: str = "task_failure"
) -> FailedRun:
    return FailedRun("equities 2025-07-01", reason, tasks or {}, failures, URL)


def failures(planned: int = 4, **causes: tuple[str, ...]) -> Failures:
    return Failures(
        planned, {name: Cause(len(who), list(who[:5]), f"{name}: words of {who[0]}") for name, who in causes.items()}
    )


@pytest.mark.parametrize(
    ("failed", "subject", "body", "severity"),
    [
        pytest.param(
            run(FETCH, failures(RateLimited=("QQQ", "SPY"))),
            "2 of 4 tickers failed",
            f'- RateLimited (QQQ, SPY): {RATE}. "words of QQQ"\n\nThe other tickers are published.',
            "warning",
            id="some tickers",
        ),
        pytest.param(
            run(FETCH, failures(40, RateLimited=tuple(f"T{number}" for number in range(9)))),
            "9 of 40 tickers failed",
            f'- RateLimited (T0, T1, T2, T3, T4 and 4 more): {RATE}. "words of T0"\n\nThe other tickers are published.',
            "warning",
            id="many tickers are not all named",
        ),
        pytest.param(
            run(FETCH | {"publish": "NothingProven: every ticker failed"}, failures(2, RateLimited=("QQQ", "SPY"))),
            "2 of 2 tickers failed",
            f'- RateLimited (QQQ, SPY): {RATE}. "words of QQQ"\n'
            "- NothingProven (publish): not one ticker came through, so nothing was published; mend their causes, "
            'then clear. "every ticker failed"',
            "error",
            id="every ticker",
        ),
        pytest.param(
            run({"ingest[1]": None, "report": "AirflowFailException"}, failures(**{"nothing staged": ("QQQ", "SPY")})),
            "2 of 4 tickers failed",
            f"- killed (ingest[1]): {KILLED}.\n\nThe other tickers are published.",
            "warning",
            id="a killed batch",
        ),
        pytest.param(
            run({"ingest[0]": None, "ingest[1]": None}),
            "ingest[0], ingest[1] failed",
            f"- killed (ingest[0], ingest[1]): {KILLED}.",
            "error",
            id="killed before anything was found out",
        ),
        pytest.param(
            run({"ingest[1]": "AirflowTaskTimeout"}, failures(**{"nothing staged": ("QQQ",)})),
            "1 of 4 tickers failed",
            "- timed out (ingest[1]): it took longer than allowed; see what the task's log ends with, then clear.\n\n"
            "The other tickers are published.",
            "warning",
            id="a batch that timed out",
        ),
        pytest.param(
            run({"validate": "QualityError: equities: no rows"}, failures()),
            "validate failed",
            "- QualityError (validate): a table rule refused the session, what was published stands; see "
            'state/quality in the lake. "equities: no rows"',
            "error",
            id="quality",
        ),
        pytest.param(
            run({"publish": "LakeError: the disk is full"}, failures()),
            "publish failed",
            "- LakeError (publish): the lake refused; see that its disk is there, writable and not full, then clear. "
            '"the disk is full"',
            "error",
            id="lake",
        ),
        pytest.param(
            run({"report": "AirflowFailException"}, failures(refused=("SPY",), quarantined=("QQQ",))),
            "2 of 4 tickers failed",
            "- refused (SPY): the published rows were kept against what came; to accept it, fetch by name with Fetch "
            'again. "words of SPY"\n'
            "- quarantined (QQQ): every row broke a rule; see quarantine in the lake, which names the rules. "
            '"words of QQQ"\n\nThe other tickers are published.',
            "warning",
            id="refused and quarantined",
        ),
        pytest.param(
            run({"plan": "KeyError", "report": "AirflowFailException"}),
            "plan failed",
            "- KeyError (plan): an error Bellwether does not know; see the task's log.",
            "error",
            id="a bug",
        ),
        pytest.param(
            run({}, None, "timed_out"),
            "the run failed (timed_out)",
            "- timed out (the whole run): it took longer than allowed; see what the task's log ends with, then clear.",
            "error",
            id="the run timed out",
        ),
        pytest.param(
            run({"report": None}),
            "report failed",
            f"- killed (report): {KILLED}.",
            "error",
            id="the last task was killed",
        ),
        pytest.param(run({}, None), "the run failed (task_failure)", "", "error", id="nothing is known"),
    ],
)
def test_a_failed_run_in_words(failed: FailedRun, subject: str, body: str, severity: str) -> None:
    message = compose(failed)
    assert message.subject == f"equities 2025-07-01: {subject}"
    assert message.body == f"{subject}.\n\n{body}".rstrip() + TAIL
    assert message.severity == severity


def test_every_class_of_error_has_words_of_its_own_or_of_its_kind() -> None:
    classes = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    names = [name for name, value in classes.items() if issubclass(value, errors.BellwetherError)]
    assert "RateLimited" in names
    for name in names:
        body = compose(run({"plan": f"{name}: words"})).body
        assert f"- {name} (plan): " in body
        assert "does not know" not in body


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RateLimited("slow down", url="https://x/y"), "RateLimited: slow down"),
        (QualityError("no rows"), "QualityError: no rows"),
        (QualityError("x" * 500), "QualityError: " + "x" * 200),
        (ValueError("key=sesame"), "ValueError"),
        (SystemExit(1), "SystemExit"),
    ],
    ids=["vendor", "own", "long", "foreign", "exit"],
)
def test_of_foreign_errors_only_the_class_is_told(error: BaseException, words: str) -> None:
    assert describe(error) == words


def test_the_vendors_words_call_nobody_and_stay_on_one_line() -> None:
    hostile = QualityError("<!channel> @everyone\n\n- LakeError\x1b[31m")
    assert describe(hostile) == "QualityError: (!channel) (at)everyone - LakeError(31m"
    assert group({"SPY": "BadResponse: <b>\n@here"}, {}, 1).causes["BadResponse"].example == "BadResponse: (b) (at)here"


def test_no_registered_secret_is_told_nor_a_piece_of_one() -> None:
    register_secret("sesame-open")
    assert "sesame" not in describe(QualityError("x" * 195 + "sesame-open"))
    told = describe(NotEntitled("key sesame-open may not", url="https://x"))
    grouped = group({"SPY": "BadResponse: sesame-open"}, {}, 4)
    assert "sesame-open" not in told + repr(grouped)


def test_tickers_are_grouped_by_cause_with_their_number_and_an_example() -> None:
    failed = {
        "SPY": "RateLimited: slow down",
        "QQQ": "RateLimited: used up",
        "IWM": "3 rows in quarantine",
        "XOM": "batch b001 XOM has nothing staged; clear it",
    }
    refused = {"JPM": "10 rows in place of 390", "SPY": "RateLimited: slow down; the 390 published rows are kept"}
    assert group(failed, refused, 9) == Failures(
        9,
        {
            "quarantined": Cause(1, ["IWM"], "3 rows in quarantine"),
            "refused": Cause(1, ["JPM"], "10 rows in place of 390"),
            "RateLimited": Cause(2, ["QQQ", "SPY"], "RateLimited: used up"),
            "nothing staged": Cause(1, ["XOM"], "batch b001 XOM has nothing staged; clear it"),
        },
    )


def test_findings_on_several_datasets_of_a_run_are_told_as_one() -> None:
    assert together([]) is None
    both = together(
        [failures(RateLimited=("AAPL", "QQQ")), failures(), failures(1, RateLimited=("*",), Truncated=("*",))]
    )
    assert both is not None
    assert (both.planned, both.failed) == (9, 4)
    assert both.causes["RateLimited"] == Cause(3, ["AAPL", "QQQ", "*"], "RateLimited: words of AAPL")


def test_a_dataset_of_which_nothing_came_is_no_warning_whatever_the_others_have() -> None:
    tasks = {"rates.ingest[0]": "RateLimited: slow down", "rates.report": "AirflowFailException"}
    some = run(tasks, failures(9, RateLimited=("*",)))
    assert compose(some).severity == "warning"
    none = run(tasks | {"rates.publish": "NothingProven: every ticker failed"}, some.failures)
    assert (compose(none).severity, compose(none).subject) == ("error", "equities 2025-07-01: 1 of 9 tickers failed")


TODAY = date(2026, 1, 31)


def muted(dag_id: str = "equities_daily", cause: str | None = None, until: date = TODAY) -> Alerts:
    return Alerts(mute=(Mute(dag_id=dag_id, cause=cause, reason="the plan is being changed", until=until),))


@pytest.mark.parametrize(
    ("settings", "quiet"),
    [
        (Alerts(), False),
        (Alerts(minimum_severity="error"), True),
        (muted(), True),
        (muted(until=date(2026, 1, 30)), False),
        (muted("news_daily"), False),
        (muted(cause="NotEntitled"), True),
        (muted(cause="RateLimited"), False),
    ],
    ids=["default", "severity", "muted", "expired", "another DAG", "this cause", "another cause"],
)
def test_what_stays_in_the_log(settings: Alerts, quiet: bool) -> None:
    message = Message("subject", "body", "warning", frozenset({"NotEntitled"}))
    assert (why_quiet(message, settings, "equities_daily", TODAY) is not None) == quiet


def test_a_waiver_for_one_cause_does_not_hide_another() -> None:
    message = Message("subject", "body", "error", frozenset({"NotEntitled", "LakeError"}))
    assert why_quiet(message, muted(cause="NotEntitled"), "equities_daily", TODAY) is None
    assert why_quiet(message, Alerts(minimum_severity="error"), "equities_daily", TODAY) is None


@pytest.mark.parametrize(
    ("tasks", "found"),
    [
        ({"plan": "SnapshotMissed: too late", "report": "AirflowFailException"}, None),
        (
            FETCH | {"ingest[1]": "SnapshotMissed: x", "publish": "NothingProven: y"},
            failures(1, SnapshotMissed=("SPY",)),
        ),
    ],
    ids=["planned late", "became late"],
)
def test_what_cannot_be_had_later_is_nobodys_to_clear(tasks: dict[str, str | None], found: Failures | None) -> None:
    body = compose(run(tasks, found)).body
    assert f": {LOST}." in body
    assert body.endswith(f"Clearing it would help nothing: {URL}")


def test_a_session_that_was_not_streamed_is_nobodys_to_clear() -> None:
    body = compose(run({"equities.wait": "NotBroadcast: over"})).body
    assert "the daily producers fetch what it had." in body
    assert body.endswith(f"Clearing it would help nothing: {URL}")


def test_a_lost_ticker_beside_one_that_can_still_be_fetched_leaves_something_to_clear() -> None:
    assert compose(run(FETCH, failures(SnapshotMissed=("SPY",), RateLimited=("QQQ",)))).body.endswith(TAIL)


def test_a_stream_that_stalled_is_told_of_with_what_it_does_instead() -> None:
    message = compose_stall("equities", date(2025, 7, 1), "connecting", datetime(2025, 7, 1, 15, 2, tzinfo=UTC), 15)
    assert (message.subject, message.severity) == ("equities_live 2025-07-01: stalled", "critical")
    assert "for 15 minutes: connecting. It has everything until 15:02 UTC." in message.body
    mute = Mute(dag_id="session_stream", cause="stalled", until=date(2025, 7, 2), reason="feed down")
    assert why_quiet(message, Alerts(mute=(mute,)), "session_stream", date(2025, 7, 1)) is not None
