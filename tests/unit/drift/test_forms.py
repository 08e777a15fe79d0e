"""Contracts and decoders agree, and a contract file that does not is refused with file, key and value."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bellwether.config import Config
from bellwether.drift.change import DISPENSABLE
from bellwether.drift.forms import check_contracts, fields_read, looser
from bellwether.errors import ConfigError
from bellwether.ingest.sources import CAPTURED
from bellwether.sources.loosened import Looser

PROJECT = Path(__file__).parents[3]
SHIPPED = PROJECT / "config" / "contracts"


def test_every_captured_dataset_has_a_contract_that_says_what_its_decoder_reads() -> None:
    contracts = Config.load(PROJECT / "config", {}).contracts
    check_contracts(contracts)
    assert sorted(contracts) == sorted(CAPTURED)
    for dataset, contract in contracts.items():
        assert contract.fields.keys() == fields_read(dataset).keys(), dataset


def test_what_stands_in_objects_and_lists_is_read_by_its_path() -> None:
    assert fields_read("options_snapshot")["details.strike_price"].type == "number"
    assert fields_read("news")["insights.sentiment"].words == ("negative", "neutral", "positive")


def edited(tmp_path: Path, edit: Any) -> Config:
    content = yaml.safe_load((SHIPPED / "equities.yaml").read_text())
    edit(content)
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "equities.yaml").write_text(yaml.safe_dump(content))
    return Config.load(tmp_path, {})


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c["fields"]["v"].update(type="numbre"), r"contracts/equities\.yaml: fields\.v\.type: .*'numbre'"),
        (lambda c: c.update(version=0), r"contracts/equities\.yaml: version: .*value: 0"),
        (lambda c: c["fields"]["v"].update(colum="volume"), r"contracts/equities\.yaml: fields\.v\.colum: .*'volume'"),
        (lambda c: c["fields"]["v"].update(moves_with="m"), "v moves with m, which is no field"),
        (lambda c: c["fields"]["v"].update(aliases=["n"]), "named twice: n"),
        (lambda c: c["fields"]["v"].update(words=["x"]), "v has words but is of type number"),
        (
            lambda c: c["fields"]["v"].update(scales=[{"since_utc": "2025-07-01T00:00:00Z", "factor": float("inf")}]),
            r"fields\.v\.scales\.0\.factor: Input should be a finite number \(value: inf\)",
        ),
        (
            lambda c: c["fields"]["v"].update(scales=[{"since_utc": "2025-07-01T00:00:00", "factor": 100}]),
            r"fields\.v\.scales\.0\.since_utc: Input should have timezone info",
        ),
        (lambda c: c["fields"]["v"].update(tolerance={"nulls": 2}), r"fields\.v\.tolerance\.nulls: .*value: 2"),
    ],
)
def test_a_value_that_no_contract_may_have_is_named(tmp_path: Path, edit: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        edited(tmp_path, edit)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c["fields"].pop("vw"), r"contracts/equities\.yaml: fields\.vw: is read and has no entry; add it"),
        (lambda c: c["fields"].update(x={"type": "text"}), r"fields\.x: is not read"),
        (lambda c: c["fields"]["t"].update(type="number"), r"fields\.t\.type: the decoder reads 'integer'"),
        (lambda c: c["fields"]["o"].update(nullable=True), r"fields\.o\.nullable: the decoder reads False"),
        (lambda c: c["fields"]["o"].update(column="opens"), r"fields\.o\.column: equities has no such column"),
        (lambda c: c.update(key=["ts"]), r"key: is ticker, ts \(value: ts\)"),
    ],
)
def test_a_contract_that_contradicts_its_decoder_is_refused(tmp_path: Path, edit: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_contracts(edited(tmp_path, edit).contracts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version: 1\nkey: [ticker, ts]\nfields:\n  v: {type: number\n",
            r"equities\.yaml: not valid YAML: .*\n? *in .*line 5",
        ),
        (b"- version\n", r"equities\.yaml: expected keys and values, found list"),
        (b"version: 1\nkey: [\xff]\n", r"equities\.yaml: not valid YAML: .*byte 0xff"),
    ],
    ids=["no YAML", "no mapping", "no UTF-8"],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "equities.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        Config.load(tmp_path, {})


def test_a_contract_may_ask_less_than_the_decoder_where_rows_can_do_without(tmp_path: Path) -> None:
    contract = Config.load(PROJECT / "config", {}).contracts["news"]
    sentiment = contract.fields["insights.sentiment"]
    words = (*sentiment.words, "mixed")
    looser_one = contract.model_copy(
        update={
            "fields": contract.fields
            | {"insights.sentiment": sentiment.model_copy(update={"words": words, "nullable": True})}
        }
    )
    check_contracts({"news": looser_one})
    assert looser("news", looser_one) == Looser(frozenset({"insights.sentiment"}), frozenset({"insights.sentiment"}))
    assert looser("news", contract) == Looser()
    fewer = contract.model_copy(
        update={"fields": contract.fields | {"insights.sentiment": sentiment.model_copy(update={"words": ("mixed",)})}}
    )
    with pytest.raises(
        ConfigError, match=r"fields\.insights\.sentiment\.words: the decoder reads .*'negative'.*and all of these"
    ):
        check_contracts({"news": fewer})


def test_what_rows_can_do_without_is_what_the_decoder_wants() -> None:
    for dataset, names in DISPENSABLE.items():
        assert not any(fields_read(dataset)[name].nullable for name in names)
