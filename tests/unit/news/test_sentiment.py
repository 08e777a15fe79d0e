import csv
from pathlib import Path

import pytest

from bellwether.news.sentiment import LexiconExtractor, Score, Sentiment, label_of, sentiments_of
from bellwether.news.terms import TERMS
from tests.unit.news.articles import Fixed, article, insight

FIXTURES = Path(__file__).parents[2] / "fixtures"
LABELS = ("positive", "neutral", "negative")


@pytest.fixture(scope="module")
def lexicon() -> LexiconExtractor:
    return LexiconExtractor()


def macro_f1(pairs: list[tuple[str, str]]) -> float:
    """Return the mean over labels of 2 TP / (2 TP + FP + FN), from (true, said)."""
    scores = []
    for label in LABELS:
        hits = pairs.count((label, label))
        wrong = sum((true == label) != (said == label) for true, said in pairs)
        scores.append(2 * hits / (2 * hits + wrong))
    return sum(scores) / len(scores)


def judged(lexicon: LexiconExtractor, name: str) -> list[tuple[str, str]]:
    with (FIXTURES / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    said = [lexicon.extract(row["headline"], "en") for row in rows]
    return [(row["label"], score.label) for row, score in zip(rows, said, strict=True) if isinstance(score, Score)]


def test_the_lexicon_scores_as_documented(lexicon: LexiconExtractor) -> None:
    pairs = judged(lexicon, "headlines.csv")
    later = judged(lexicon, "headlines_later.csv")
    assert (len(pairs), len(later)) == (236, 60)
    assert macro_f1(pairs[0::2]) >= 0.90
    assert macro_f1(pairs[1::2]) >= 0.86
    assert macro_f1(later) >= 0.51


@pytest.mark.parametrize(
    ("headline", "label"),
    [
        ("Redfern Apparel loss narrows", "positive"),
        ("Telmark debt falls", "positive"),
        ("Telmark debt rises", "negative"),
        ("Costs jump at Telmark", "negative"),
        ("Shares jump despite wider loss", "positive"),
        ("Shares tumble despite record profit", "negative"),
        ("Quarter not as bad as feared", "positive"),
        ("Telmark downgraded to sell", "negative"),
        ("Telmark shares rise after job cuts", "positive"),
        ("Board sets date of annual meeting", "neutral"),
    ],
)
def test_the_lexicon_knows_finance(lexicon: LexiconExtractor, headline: str, label: str) -> None:
    score = lexicon.extract(headline, "en")
    assert isinstance(score, Score)
    assert -1 <= score.score <= 1
    assert score.label == label


def test_the_lexicon_gives_reasons_instead_of_scores(lexicon: LexiconExtractor) -> None:
    assert lexicon.extract("Les bénéfices dépassent les attentes", "fr") == "not_english"
    assert lexicon.extract("12 %", "und") == "not_english"
    assert lexicon.extract("", "und") == "no_text"


def test_the_extractors_name_tells_library_version_and_terms(lexicon: LexiconExtractor) -> None:
    assert lexicon.name.startswith("lexicon:vader-3.3.2+")
    assert lexicon.name == LexiconExtractor().name


def test_terms_are_lower_case_within_the_scale_and_do_not_repeat_the_tokens_of_phrases() -> None:
    assert all(term == term.lower().strip() and -4 <= valence <= 4 for term, valence in TERMS.items())


@pytest.mark.parametrize(
    ("score", "label"),
    [(1, "positive"), (0.05, "positive"), (0.049, "neutral"), (0, "neutral"), (-0.049, "neutral"), (-0.05, "negative")],
)
def test_the_bounds_of_neutral(score: float, label: str) -> None:
    assert label_of(score) == label


@pytest.mark.parametrize(("sentiment", "score"), [("positive", 1.0), ("neutral", 0.0), ("negative", -1.0)])
def test_the_vendors_judgement_goes_first_and_keeps_its_reason(sentiment: str, score: float) -> None:
    extractor = Fixed()
    judged = article(insights=[insight("HLV", sentiment, "<i>It</i> says so.")])
    assert sentiments_of(judged, ["HLV"], extractor) == {"HLV": Sentiment(score, sentiment, "vendor", "It says so.")}
    assert not extractor.asked


def test_whom_the_vendor_does_not_judge_the_extractor_does_asked_once() -> None:
    extractor = Fixed()
    about = article(insights=[insight("HLV", "negative")], description="<p>More.</p>")
    answer = sentiments_of(about, ["A", "HLV", "B"], extractor)
    assert answer["A"] == answer["B"] == Sentiment(0.5, "positive", "fixed-1")
    assert answer["HLV"].source == "vendor"
    assert extractor.asked == {"Halverton tops estimates More.": 1}


def test_of_two_judgements_for_a_ticker_the_first_counts() -> None:
    about = article(insights=[insight("HLV", "negative"), insight("HLV", "positive")])
    assert sentiments_of(about, ["HLV"], Fixed())["HLV"].label == "negative"


@pytest.mark.parametrize(
    ("title", "source"), [("Telmark Aktien brechen nach Zahlen ein", "none:not_english"), ("<p></p>", "none:no_text")]
)
def test_no_score_is_null_with_its_reason(lexicon: LexiconExtractor, title: str, source: str) -> None:
    assert sentiments_of(article(title=title), ["HLV"], lexicon) == {"HLV": Sentiment(None, None, source)}


def test_a_word_of_the_vendors_that_has_no_score_stands_and_one_that_lacks_is_judged_by_us() -> None:
    about = article(insights=[insight("HLV", "mixed", "Both."), insight("SPY", None)], tickers=["HLV", "SPY"])
    found = sentiments_of(about, about.tickers, Fixed())
    assert found["HLV"] == Sentiment(None, "mixed", "vendor", "Both.")  # type: ignore[arg-type]
    assert found["SPY"].score == 0.5
