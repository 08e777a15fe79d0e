"""Every published column is described, and the page says what the schemas say."""

from pathlib import Path

import pytest

from bellwether import dictionary
from bellwether.dictionary import describe, markdown
from bellwether.schemas import SCHEMAS

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    assert page == markdown(), "python tools/data_dictionary.py writes it anew"


@pytest.mark.parametrize("dataset", SCHEMAS)
def test_every_column_is_described_in_one_line_of_a_table(dataset: str) -> None:
    for name in SCHEMAS[dataset].names:
        words = describe(dataset, name)
        assert words, name
        assert not {"|", "\n"} & set(words), name
    assert dictionary.ROWS[dataset]


def test_nothing_is_described_that_is_not_there() -> None:
    assert set(dictionary.ROWS) == set(SCHEMAS)
    for dataset, columns in dictionary._OF_DATASET.items():
        assert set(columns) <= set(SCHEMAS[dataset].names), dataset
    used = {
        name
        for dataset, schema in SCHEMAS.items()
        for name in schema.names
        if name not in dictionary._OF_DATASET.get(dataset.removesuffix("_live"), {})
    }
    assert used == set(dictionary._EVERYWHERE)
