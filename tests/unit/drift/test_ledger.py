"""What is known and decided of drift, in the lake: written once, decided once, told apart."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bellwether.config import Config
from bellwether.drift import approval
from bellwether.drift.approval import approve, reject
from bellwether.drift.change import Change, Kind
from bellwether.drift.ledger import (
    Decision,
    Sighting,
    add_version,
    contracts_in_force,
    decide,
    find,
    known_changes,
    write_down,
)
from bellwether.drift.report import digest, page, publish_drift
from bellwether.errors import DriftError, LakeError
from bellwether.lake import Lake, paths, read

CONFIG = Config.load(Path(__file__).parents[3] / "config", {})
NOW = datetime(2025, 7, 2, 1, tzinfo=UTC)
FIRST, SECOND = date(2025, 7, 1), date(2025, 7, 2)
RENAMED = Change("equities", "v", Kind.RENAMED, "vol")
TYPED = Change("equities", "c", Kind.RETYPED, "text")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", simulated=True)


def seen(lake: Lake, change: Change = RENAMED, session: date = FIRST, **values: Any) -> None:
    defaults: dict[str, Any] = {
        "stage_id": "s1",
        "subjects": ("SPY",),
        "first_utc": NOW,
        "raw": {"s1/b000.parquet": "h"},
        "evidence": "the answers about SPY",
        "version": 1,
        "seen_utc": NOW,
    }
    write_down(lake, Sighting(change=change, session=session, **(defaults | values)))


def yes(by: str = "ann") -> Decision:
    return Decision(approved=True, by=by, reason="", at_utc=NOW)


def test_a_session_seen_again_by_the_same_run_is_one_sighting(lake: Lake) -> None:
    seen(lake)
    seen(lake, subjects=("QQQ", "SPY"))
    seen(lake, session=SECOND)
    known = find(lake, RENAMED.change_id)
    assert [(each.session, each.subjects) for each in known.sightings] == [(FIRST, ("QQQ", "SPY")), (SECOND, ("SPY",))]


def test_of_two_who_decide_at_once_one_is_told_what_the_other_did(lake: Lake) -> None:
    seen(lake)
    known = find(lake, RENAMED.change_id)
    assert decide(lake, known, yes("ann")).by == "ann"
    assert decide(lake, known, yes("bob")).by == "ann"


def test_an_approved_change_that_is_seen_again_is_another_one(lake: Lake) -> None:
    seen(lake)
    approve(lake, CONFIG, RENAMED.change_id, by="ann")
    seen(lake, session=SECOND)
    assert [(each.change_id, each.state) for each in known_changes(lake)] == [
        ("equities.v.renamed.vol", "approved"),
        ("equities.v.renamed.vol-2", "open"),
    ]


def test_changes_of_one_contract_are_versions_one_after_the_other(lake: Lake) -> None:
    seen(lake)
    seen(lake, TYPED)
    assert approve(lake, CONFIG, RENAMED.change_id, by="ann").version == 2
    assert approve(lake, CONFIG, TYPED.change_id, by="bob").version == 3
    contract = contracts_in_force(lake, CONFIG)["equities"]
    assert (contract.fields["v"].aliases, contract.fields["c"].lenient) == (("vol",), True)
    assert contract.approval is not None
    assert (contract.approval.by, contract.approval.change_id) == ("bob", TYPED.change_id)
    again = approve(lake, CONFIG, RENAMED.change_id, by="cid", as_it_is=True)
    assert (again.version, again.news) == (2, False)


def test_an_approval_that_lost_its_number_to_another_takes_the_next(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(lake)

    def overtaken(where: Lake, dataset: str, contract: Any) -> bool:
        monkeypatch.setattr(approval, "add_version", add_version)
        assert add_version(where, dataset, CONFIG.contracts[dataset].model_copy(update={"version": contract.version}))
        return add_version(where, dataset, contract)

    monkeypatch.setattr(approval, "add_version", overtaken)
    assert approve(lake, CONFIG, RENAMED.change_id, by="ann").version == 3


def test_a_file_of_a_later_version_takes_the_place_of_what_was_approved(lake: Lake) -> None:
    seen(lake)
    approve(lake, CONFIG, RENAMED.change_id, by="ann")
    own = CONFIG.contracts["equities"].model_copy(update={"version": 2})
    config = CONFIG.model_copy(update={"contracts": {**CONFIG.contracts, "equities": own}})
    assert contracts_in_force(lake, config)["equities"] == own


def test_a_damaged_version_is_named_and_nothing_is_read_by_an_older_one(lake: Lake) -> None:
    lake.storage.write(paths.contract("equities", 2), b"{")
    with pytest.raises(LakeError, match=r"v0002\.json is damaged"):
        contracts_in_force(lake, CONFIG)


@pytest.mark.parametrize("change_id", ["equities.v.renamed.x", "../../clean", "nothing"])
def test_an_id_that_nobody_gave_is_refused_with_those_there_are(lake: Lake, change_id: str) -> None:
    seen(lake)
    with pytest.raises(DriftError, match=r"open are: equities\.v\.renamed\.vol"):
        find(lake, change_id)


def test_the_dataset_and_the_digest_tell_of_every_change_and_what_became_of_it(lake: Lake) -> None:
    assert digest(known_changes(lake), [FIRST]) == ""
    seen(lake)
    seen(lake, TYPED)
    seen(lake, Change("equities", "x", Kind.ADDED, "text"))
    reject(lake, TYPED.change_id, by="ann", reason="theirs to mend")
    publish_drift(lake, CONFIG, [FIRST], run_id="r")
    rows = read("drift", FIRST, FIRST, root=lake.root).to_pylist()
    assert [(row["field"], row["state"], row["is_breaking"], row["reason"]) for row in rows] == [
        ("c", "rejected", True, "theirs to mend"),
        ("v", "open", True, None),
        ("x", "noted", False, None),
    ]
    told = digest(known_changes(lake, [FIRST]), [FIRST])
    assert "| equities.v.renamed.vol | `v` seems to be called `vol` now | open | 2025-07-01 | SPY |" in told
    assert all(word in told for word in ("rejected", "noted", "bellwether drift approve"))
    assert "equities.v" in digest(known_changes(lake), [SECOND]), "what waits is told until it is decided"
    assert "equities.x" not in digest(known_changes(lake), [SECOND])


def test_the_page_of_a_change_shows_what_becomes_of_the_contract_or_why_nothing_can(lake: Lake) -> None:
    seen(lake)
    seen(lake, Change("equities", "c", Kind.REMOVED))
    shown = page(lake, CONFIG, find(lake, RENAMED.change_id))
    assert "- version: 1\n" in shown
    assert "+ version: 2\n" in shown
    assert "+ v: {aliases: [vol]," in shown
    assert "It cannot be approved" in page(lake, CONFIG, find(lake, "equities.c.removed"))


def test_approving_again_makes_no_version_once_a_file_has_taken_the_place_of_the_first(lake: Lake) -> None:
    seen(lake)
    approve(lake, CONFIG, RENAMED.change_id, by="ann")
    own = contracts_in_force(lake, CONFIG)["equities"].model_copy(update={"version": 5})
    config = CONFIG.model_copy(update={"contracts": {**CONFIG.contracts, "equities": own}})
    assert approve(lake, config, RENAMED.change_id, by="bob").version == 2
    assert contracts_in_force(lake, config)["equities"] == own
