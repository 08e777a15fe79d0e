"""What is known and decided of drift, in the lake: written once, decided once, told apart."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bellwether.config import Config
from bellwether.drift import approval, ledger
from bellwether.drift.approval import approve, reject, resume, ways
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


def test_a_version_of_an_older_decoder_is_brought_up_and_one_that_contradicts_it_is_named(lake: Lake) -> None:
    shipped = CONFIG.contracts["equities"]
    older = {name: field for name, field in shipped.fields.items() if name != "n"}
    older["v"] = older["v"].model_copy(update={"aliases": ("vol",), "moves_with": None})
    kept = shipped.model_copy(update={"version": 2, "fields": older, "also": ("n", "otc")})
    assert add_version(lake, "equities", kept)
    contract = contracts_in_force(lake, CONFIG)["equities"]
    assert (contract.fields["n"], contract.fields["v"].aliases, contract.also) == (
        shipped.fields["n"],
        ("vol",),
        ("otc",),
    )
    wrong = shipped.fields | {"v": shipped.fields["v"].model_copy(update={"column": "volumes"})}
    assert add_version(lake, "equities", shipped.model_copy(update={"version": 3, "fields": wrong}))
    with pytest.raises(LakeError, match=r"v0003\.json: fields\.v\.column: .*equities\.yaml of a higher"):
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
    assert "Taking it as it is" not in shown
    gone = page(lake, CONFIG, find(lake, "equities.c.removed"))
    assert "It cannot be approved: equities: `c` is gone. The dataset has no rows without it." in gone
    assert "So it can only be rejected" in gone


@pytest.mark.parametrize(
    ("change", "can_be_approved", "can_be_taken"),
    [
        (RENAMED, True, False),
        (TYPED, True, False),
        (Change("equities", "c", Kind.RETYPED, "text that is no number"), False, False),
        (Change("equities", "c", Kind.REMOVED), False, False),
        (Change("options_snapshot", "last_trade.price", Kind.REMOVED), True, False),
        (Change("dividends", "dividend_type", Kind.WORDS, "XX"), True, False),
        (Change("equities", "t", Kind.RESCALED, "1e-06"), True, False),
        (Change("equities", "v", Kind.RESCALED, "100"), True, True),
        (Change("equities", "vw", Kind.NULLS, "0.67"), True, True),
        (Change("equities", "v", Kind.MOVED, "5.5"), True, True),
        (Change("equities", "x", Kind.ADDED, "text"), True, False),
    ],
)
def test_of_each_kind_those_answers_are_offered_that_somebody_can_give(
    lake: Lake, change: Change, can_be_approved: bool, can_be_taken: bool
) -> None:
    seen(lake, change)
    possible = ways(contracts_in_force(lake, CONFIG)[change.dataset], find(lake, change.change_id))
    assert (possible.approved is not None, possible.as_it_is is not None) == (can_be_approved, can_be_taken)
    assert bool(possible.why_not) == (not can_be_approved)
    if can_be_approved:
        assert approve(lake, CONFIG, change.change_id, by="ann").version == 2
    else:
        with pytest.raises(DriftError, match="the decoder must learn it"):
            approve(lake, CONFIG, change.change_id, by="ann")
        assert find(lake, change.change_id).decision is None


def test_a_contract_that_would_contradict_itself_is_refused_before_anything_is_decided(lake: Lake) -> None:
    seen(lake)
    approve(lake, CONFIG, RENAMED.change_id, by="ann")
    other = Change("equities", "n", Kind.RENAMED, "vol")
    seen(lake, other)
    with pytest.raises(DriftError, match=r"named twice: vol.*config/contracts/equities\.yaml of a higher version"):
        approve(lake, CONFIG, other.change_id, by="ann")
    assert find(lake, other.change_id).state == "open"


def test_a_decision_that_nobody_carried_out_is_carried_out_by_whoever_comes_next(lake: Lake) -> None:
    seen(lake)
    with pytest.raises(DriftError, match="nobody decided"):
        resume(lake, CONFIG, RENAMED.change_id)
    decide(lake, find(lake, RENAMED.change_id), yes("ann"))  # and was killed
    settled = resume(lake, CONFIG, RENAMED.change_id)
    assert (settled.version, len(settled.waiting), settled.news) == (2, 1, False)
    assert resume(lake, CONFIG, RENAMED.change_id) == settled
    seen(lake, TYPED)
    reject(lake, TYPED.change_id, by="ann", reason="no")
    assert resume(lake, CONFIG, TYPED.change_id).waiting == ()


def test_two_who_approve_at_once_make_one_version(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    seen(lake)
    others = []

    def overtaken(where: Lake, dataset: str, contract: Any) -> bool:
        monkeypatch.setattr(approval, "add_version", add_version)
        others.append(approve(where, CONFIG, RENAMED.change_id, by="bob"))
        return add_version(where, dataset, contract)

    monkeypatch.setattr(approval, "add_version", overtaken)
    mine = approve(lake, CONFIG, RENAMED.change_id, by="ann")
    [other] = others
    assert (mine.version, mine.news, other.version, other.news) == (2, True, 2, False)
    assert ledger.versions(lake) == {"equities": [2]}


def test_a_sighting_that_comes_while_somebody_approves_is_not_lost(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    seen(lake)

    def meanwhile(where: Lake, change: Change) -> str:
        monkeypatch.setattr(ledger, "_unsettled_id", look)
        known_as = look(where, change)
        approve(where, CONFIG, RENAMED.change_id, by="ann")
        return known_as

    look = ledger._unsettled_id
    monkeypatch.setattr(ledger, "_unsettled_id", meanwhile)
    seen(lake, session=SECOND)
    again = {known.change_id: known.state for known in known_changes(lake)}
    assert again["equities.v.renamed.vol-2"] == "open", "it would wait for ever"


def test_what_a_vendor_calls_its_fields_is_no_markup_on_the_page(lake: Lake) -> None:
    evil = Change("equities", "v", Kind.RENAMED, "a`\n\n# b | [c](http://evil) <img src=x>" + "z" * 500)
    seen(lake, evil)
    shown = page(lake, CONFIG, find(lake, evil.change_id))
    told = digest(known_changes(lake), [FIRST])
    assert "\n# b" not in shown + told
    assert "<img" not in told
    [row] = [line for line in told.splitlines() if line.startswith(f"| {evil.change_id}")]
    assert row.count("|") == 6


def test_approving_again_makes_no_version_once_a_file_has_taken_the_place_of_the_first(lake: Lake) -> None:
    seen(lake)
    approve(lake, CONFIG, RENAMED.change_id, by="ann")
    own = contracts_in_force(lake, CONFIG)["equities"].model_copy(update={"version": 5})
    config = CONFIG.model_copy(update={"contracts": {**CONFIG.contracts, "equities": own}})
    assert approve(lake, config, RENAMED.change_id, by="bob").version == 2
    assert contracts_in_force(lake, config)["equities"] == own
