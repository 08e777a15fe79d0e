"""Validation decides once for the session; publishing merges what it let through."""

import json

import pyarrow as pa
import pytest

from bellwether.config import Config
from bellwether.consolidate.readiness import readiness
from bellwether.errors import BadResponse, LakeError, QualityError
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import failed_tickers, forgivable, publish_stage, validate_stage
from bellwether.ingest.plan import Batch, plan_session
from bellwether.lake import Coverage, Lake, paths, read
from bellwether.lake.coverage import session_coverage
from bellwether.lake.publish import Publication
from bellwether.quality.validate import Verdict
from bellwether.quarantine.kept import read_kept
from bellwether.schemas import EQUITIES
from tests.builders import SESSION, bars
from tests.unit.ingest.conftest import UNIVERSE, FakeVendor, with_universe


def capture(lake: Lake, config: Config, vendor: FakeVendor, stage_id: str = "s1", **options: object) -> list[Batch]:
    batches = plan_session(lake, config, vendor, "equities", SESSION, stage_id=stage_id, **options)
    for batch in batches:
        try:
            fetch_batch(lake, vendor, Config(), batch)  # type: ignore[arg-type]
        except BadResponse:
            continue
    return batches


def finish(lake: Lake, config: Config, batches: list[Batch]) -> Publication:
    validate_stage(lake, config, batches)
    return publish_stage(lake, config, "equities", SESSION, stage_id=batches[0].stage_id, run_id="run")


def broken(ticker: str, rows: int = 1, minutes: int = 60) -> pa.Table:
    table = bars(ticker, minutes=minutes)
    low = table["low"].to_pylist()
    low[:rows] = [table["high"][i].as_py() + 1 for i in range(rows)]
    return table.set_column(4, table.schema.field("low"), pa.array(low))


@pytest.fixture
def every_row_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the suite, which takes a quarter of a second each time."""

    def accept(table: pa.Table, **_: object) -> Verdict:
        return Verdict(True, table.select(EQUITIES.names).cast(EQUITIES), table.slice(0, 0), {}, [], {}, 0.0)

    monkeypatch.setattr("bellwether.ingest.finish.validate_session", accept)


def test_a_good_session_is_published_whole(lake: Lake, config: Config, vendor: FakeVendor) -> None:
    publication = finish(lake, config, capture(lake, config, vendor))
    assert publication.changed
    assert publication.manifest.rows == 20
    assert set(publication.manifest.timings_s) == {"fetch_s", "validate_s"}
    assert publication.manifest.api_calls == 4
    result = json.loads(lake.storage.read(paths.quality("equities", SESSION)).content)
    assert result["passed"] is True


def test_bad_rows_go_to_quarantine_with_their_reason_and_the_rest_is_published(
    lake: Lake, config: Config, vendor: FakeVendor
) -> None:
    vendor.tables["SPY"] = broken("SPY", rows=2)
    manifest = finish(lake, config, capture(lake, config, vendor)).manifest
    spy = manifest.coverage["SPY"]
    assert (spy.state, spy.rows, spy.quarantined_rows) == (Coverage.PARTIAL, 58, 2)
    assert manifest.quarantined_rows == 2
    [kept] = read_kept(lake, "equities", SESSION)
    quarantined = kept.table
    assert quarantined["ticker"].to_pylist() == ["SPY", "SPY"]
    assert all("high_below_low" in reason for reason in quarantined["reason"].to_pylist())
    assert read("equities", SESSION, SESSION, tickers=["SPY"], root=lake.root).num_rows == 58


def test_a_failed_table_rule_leaves_the_published_partition_untouched(
    lake: Lake, config: Config, vendor: FakeVendor
) -> None:
    before = finish(lake, config, capture(lake, config, vendor)).manifest
    vendor.tables["SPY"] = broken("SPY", rows=50)
    batches = capture(lake, config, vendor, stage_id="s2", force=True)
    with pytest.raises(QualityError, match="nothing was published"):
        validate_stage(lake, config, batches)
    assert lake.manifest("equities", SESSION) == before


def test_a_session_refused_before_anything_was_published_says_why_in_the_ledger(
    lake: Lake, config: Config, vendor: FakeVendor
) -> None:
    vendor.tables["SPY"] = broken("SPY", rows=50)
    with pytest.raises(QualityError):
        validate_stage(lake, config, capture(lake, config, vendor))
    known = session_coverage(lake, "equities", SESSION, None)
    assert known.state is Coverage.FAILED
    assert "quality:" in known.tickers["AAPL"].reason


@pytest.mark.usefixtures("every_row_is_good")
def test_a_batch_that_staged_nothing_counts_as_failed_and_the_others_are_published(
    lake: Lake, config: Config, vendor: FakeVendor
) -> None:
    batches = capture(lake, config, vendor, tickers=["AAPL", "MSFT"])
    lost = Batch("equities", SESSION, "s1", 1, ("QQQ", "SPY"))
    manifest = finish(lake, config, [*batches, lost]).manifest
    assert manifest.blocking == ["QQQ", "SPY"]
    assert "batch b001 QQQ..SPY has nothing staged" in failed_tickers(lake, [*batches, lost])["SPY"]
    assert manifest.rows == 10


def test_every_ticker_failing_publishes_nothing_and_is_recorded(lake: Lake, config: Config, vendor: FakeVendor) -> None:
    vendor.errors = {t: BadResponse("odd", url="http://vendor") for t in UNIVERSE}
    with pytest.raises(LakeError, match="every ticker failed: BadResponse: odd"):
        finish(lake, config, capture(lake, config, vendor))
    known = session_coverage(lake, "equities", SESSION, None)
    assert known.tickers["SPY"].reason == "BadResponse: odd"


@pytest.mark.usefixtures("every_row_is_good")
def test_a_rerun_that_would_lose_most_of_a_tickers_rows_keeps_them_unless_told_to_accept_it(
    lake: Lake, config: Config, vendor: FakeVendor
) -> None:
    before = finish(lake, config, capture(lake, config, vendor)).manifest
    vendor.tables["SPY"] = bars("SPY", minutes=0)
    vendor.tables["QQQ"] = bars("QQQ", minutes=2)
    batches = capture(lake, config, vendor, stage_id="s2", force=True)
    publication = finish(lake, config, batches)
    assert publication.changed is False
    assert publication.manifest == before
    assert set(publication.refused) == {"QQQ", "SPY"}
    assert publication.refused["SPY"].startswith("0 rows (empty) in place of 5: the published rows are kept")
    accepted = publish_stage(lake, config, "equities", SESSION, stage_id="s2", run_id="run", accept_loss=True)
    assert accepted.refused == {}
    assert accepted.manifest.coverage["SPY"].state is Coverage.EMPTY


@pytest.mark.usefixtures("every_row_is_good")
def test_an_older_answer_never_displaces_a_newer_one(lake: Lake, config: Config, vendor: FakeVendor) -> None:
    old = capture(lake, config, vendor, stage_id="s1")
    vendor.tables["SPY"] = bars("SPY", seed=1)
    newer = finish(lake, config, capture(lake, config, vendor, stage_id="s2", force=True)).manifest
    late = finish(lake, config, old)
    assert late.manifest == newer
    assert "before the published rows" in late.refused["SPY"]


def test_a_ticker_refused_whole_is_reported_blocks_and_is_fetched_again(
    lake: Lake, config: Config, vendor: FakeVendor
) -> None:
    for ticker in ("AAPL", "MSFT", "QQQ"):
        vendor.tables[ticker] = bars(ticker, minutes=300)
    vendor.tables["SPY"] = broken("SPY", rows=60)
    batches = capture(lake, config, vendor)
    manifest = finish(lake, config, batches).manifest
    assert manifest.coverage["SPY"].state is Coverage.QUARANTINED
    assert failed_tickers(lake, batches) == {"SPY": "60 rows in quarantine"}
    assert readiness(lake, config, SESSION).why == "equities lacks SPY"
    [again] = plan_session(lake, config, vendor, "equities", SESSION, stage_id="s2")
    assert again.tickers == ("SPY",)


def test_a_stage_that_is_gone_is_an_error_that_says_what_to_do(lake: Lake, config: Config) -> None:
    with pytest.raises(LakeError, match="clear the whole run"):
        publish_stage(lake, config, "equities", SESSION, stage_id="gone", run_id="run")


def test_no_plan_has_no_failed_tickers(lake: Lake) -> None:
    assert failed_tickers(lake, []) == {}


@pytest.mark.usefixtures("every_row_is_good")
class TestReadiness:
    """When a session is announced."""

    def test_nothing_published_is_not_ready(self, lake: Lake, config: Config) -> None:
        decision = readiness(lake, config, SESSION)
        assert (decision.announce, decision.why) == (False, "equities is not published")

    def test_a_narrowed_first_run_is_not_ready(self, lake: Lake, config: Config, vendor: FakeVendor) -> None:
        finish(lake, config, capture(lake, config, vendor, tickers=["SPY"]))
        assert readiness(lake, config, SESSION).why == "equities lacks AAPL, MSFT, QQQ"

    def test_a_failed_ticker_that_left_the_universe_since_holds_nobody_up(
        self, lake: Lake, config: Config, vendor: FakeVendor
    ) -> None:
        vendor.errors["QQQ"] = BadResponse("odd", url="http://vendor")
        finish(lake, config, capture(lake, config, vendor))
        assert readiness(lake, config, SESSION).why == "equities lacks QQQ"
        smaller = with_universe(config, required=("AAPL", "MSFT", "SPY"))
        assert capture(lake, smaller, vendor, stage_id="s2") == []
        assert readiness(lake, smaller, SESSION).announce

    def test_a_failed_best_effort_ticker_is_reported_forgiven_and_holds_nobody_up(
        self, lake: Lake, config: Config, vendor: FakeVendor
    ) -> None:
        config = with_universe(config, required=("AAPL", "SPY"), best_effort=("MSFT", "QQQ"))
        vendor.errors["QQQ"] = BadResponse("odd", url="http://vendor")
        batches = capture(lake, config, vendor)
        manifest = finish(lake, config, batches).manifest
        assert readiness(lake, config, SESSION).announce
        assert failed_tickers(lake, batches) == {"QQQ": "BadResponse: odd"}
        assert forgivable(lake, "equities", SESSION, ["QQQ", "SPY", "ZZZ"]) == {"QQQ"}
        assert manifest.universe.roles == dict.fromkeys(("AAPL", "SPY"), "required") | dict.fromkeys(
            ("MSFT", "QQQ"), "best_effort"
        )
        [again] = plan_session(lake, config, vendor, "equities", SESSION, stage_id="s2")
        assert again.tickers == ("QQQ",)

    def test_a_failed_ticker_made_best_effort_lets_the_session_through(
        self, lake: Lake, config: Config, vendor: FakeVendor
    ) -> None:
        vendor.errors["QQQ"] = BadResponse("odd", url="http://vendor")
        finish(lake, config, capture(lake, config, vendor))
        lenient = with_universe(config, required=("AAPL", "MSFT", "SPY"), best_effort=("QQQ",))
        assert readiness(lake, lenient, SESSION).why == "equities lacks QQQ"
        finish(lake, lenient, capture(lake, lenient, vendor, stage_id="s2"))
        assert readiness(lake, lenient, SESSION).announce

    def test_many_lacking_tickers_are_named_in_part(self, lake: Lake, config: Config, vendor: FakeVendor) -> None:
        many = with_universe(config, required=tuple(f"T{number:04d}" for number in range(8000)))
        finish(lake, many, capture(lake, many, vendor, tickers=["T0000"]))
        assert readiness(lake, many, SESSION).why.endswith("T0020 and 7979 more")

    def test_complete_inputs_without_gold_are_announced(self, lake: Lake, config: Config, vendor: FakeVendor) -> None:
        manifest = finish(lake, config, capture(lake, config, vendor)).manifest
        decision = readiness(lake, config, SESSION)
        assert (decision.announce, decision.inputs["equities"]) == (True, manifest.revision)

    def test_inputs_gold_already_records_are_not_announced_again_until_they_change(
        self, lake: Lake, config: Config, vendor: FakeVendor
    ) -> None:
        finish(lake, config, capture(lake, config, vendor))
        record_gold(lake, readiness(lake, config, SESSION).inputs)
        assert readiness(lake, config, SESSION).why == "gold already records exactly these inputs"
        vendor.tables["SPY"] = bars("SPY", seed=1)
        finish(lake, config, capture(lake, config, vendor, stage_id="s2", force=True))
        assert readiness(lake, config, SESSION).why == "inputs changed since gold was built"


def record_gold(lake: Lake, inputs: dict[str, str]) -> None:
    """Write the smallest gold partition: no rows, and a manifest that records its inputs."""
    import msgspec

    from bellwether.lake.manifest import METADATA_KEY, encode

    manifest = lake.manifest("equities", SESSION)
    assert manifest is not None
    gold = msgspec.structs.replace(manifest, dataset="minutes", inputs=inputs)
    table = pa.table({"ts": pa.array([], pa.int64())}).replace_schema_metadata({METADATA_KEY: encode(gold)})
    lake.write_parquet(paths.partition("minutes", SESSION), table)
