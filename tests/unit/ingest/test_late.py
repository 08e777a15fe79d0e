"""Lateness from the vendor's answer to the published session: judged by when it was fetched, whenever it is read."""

from pathlib import Path

import pyarrow as pa
import pytest

from bellwether.config import Config
from bellwether.ingest.audit import audit_session
from bellwether.ingest.finish import publish_stage
from bellwether.ingest.replay import Replayed, replay_session
from bellwether.lake import Lake, paths, read
from bellwether.quality.validate import Verdict
from bellwether.quarantine.kept import late_rows
from bellwether.schemas import EQUITIES
from tests.builders import SESSION, bars
from tests.unit.ingest.conftest import FakeVendor
from tests.unit.ingest.test_finish import capture, every_row_is_good, finish

pytestmark = pytest.mark.usefixtures("every_row_is_good")
_ = every_row_is_good  # a fixture


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Return a configuration by whose window all that the vendor answers comes too late."""
    return Config.load(tmp_path, {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, SPY]"})


def published(lake: Lake) -> dict[str, object]:
    return {ticker: read("equities", SESSION, SESSION, [ticker], root=lake.root) for ticker in ("AAPL", "SPY")}


def test_a_session_that_was_never_published_is_captured_however_late(
    lake: Lake, config: Config, vendor: FakeVendor
) -> None:
    publication = finish(lake, config, capture(lake, config, vendor))
    assert publication.manifest.rows == 10
    assert "late_rows" not in publication.manifest.warnings


def test_fetched_again_too_late_it_stays_as_it_was_and_no_ticker_failed(
    lake: Lake, config: Config, vendor: FakeVendor
) -> None:
    finish(lake, config, capture(lake, config, vendor))
    before = published(lake)
    vendor.tables["SPY"] = bars("SPY", seed=1)
    publication = finish(lake, config, capture(lake, config, vendor, stage_id="s2", force=True))
    assert (published(lake), publication.refused) == (before, {})
    assert publication.manifest.warnings["late_rows"] == 5
    assert late_rows(lake, "equities", SESSION).num_rows == 5
    assert audit_session(lake, config, "equities", SESSION) == {}
    accepted = publish_stage(lake, config, "equities", SESSION, stage_id="s2", run_id="run", accept_late=True)
    assert accepted.changed
    assert published(lake)["SPY"] == bars("SPY", seed=1)


def test_replayed_what_was_in_time_is_in_time_and_what_was_late_is_late_again(
    lake: Lake, config: Config, vendor: FakeVendor
) -> None:
    finish(lake, config, capture(lake, config, vendor))
    before = published(lake)
    vendor.tables["SPY"] = bars("SPY", seed=1)
    manifest = finish(lake, config, capture(lake, config, vendor, stage_id="s2", force=True)).manifest
    assert replay_session(lake, config, "equities", SESSION) == Replayed(changed=False, problems={})
    lake.storage.delete(paths.partition("equities", SESSION))
    assert replay_session(lake, config, "equities", SESSION).problems == {}
    again = lake.manifest("equities", SESSION)
    assert (published(lake), again.revision) == (before, manifest.revision)
    assert again.warnings["late_rows"] == 5
    assert late_rows(lake, "equities", SESSION).num_rows == 5, "they stand there once"


def test_an_answer_that_is_read_once_more_by_other_rules_is_no_later_than_it_was(
    lake: Lake, config: Config, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(lake, config, capture(lake, config, vendor))

    def stricter(table: pa.Table, **_: object) -> Verdict:
        good = table.select(EQUITIES.names).cast(EQUITIES).slice(1)
        return Verdict(True, good, table.slice(0, 0), {}, [], {}, 0.0)

    monkeypatch.setattr("bellwether.ingest.finish.validate_session", stricter)
    assert replay_session(lake, config, "equities", SESSION) == Replayed(changed=True, problems={})
    assert "late_rows" not in lake.manifest("equities", SESSION).warnings
    assert read("equities", SESSION, SESSION, root=lake.root).num_rows == 9
