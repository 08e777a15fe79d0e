import csv
from pathlib import Path

import pytest

from bellwether.news.language import language_of

FIXTURES = Path(__file__).parents[2] / "fixtures"


def table(name: str) -> list[dict[str, str]]:
    with (FIXTURES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_english_is_told_from_24_other_languages_as_well_as_documented() -> None:
    rows = table("languages.csv")
    wrong = [row for row in rows if (language_of(row["headline"]) == "en") != (row["language"] == "en")]
    assert len(rows) == 74
    assert len({row["language"] for row in rows}) == 25
    assert len(wrong) <= 1


def test_no_english_headline_of_the_labelled_sets_is_taken_for_another_language() -> None:
    headlines = [row["headline"] for name in ("headlines.csv", "headlines_later.csv") for row in table(name)]
    assert [headline for headline in headlines if language_of(headline) != "en"] == []


@pytest.mark.parametrize("text", ["", "123 %", "🚀 +5"])
def test_a_text_without_letters_has_no_language(text: str) -> None:
    assert language_of(text) == "und"
