"""What rows of news must be, and what real ones do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.due import SPANS
from bellwether.quality.bar_rules import is_missing
from bellwether.quality.prepare import any_of
from bellwether.quality.reasons import RowReason, WarningName

if TYPE_CHECKING:  # the calendar loads pandas, which the gate must not
    from bellwether.calendar import SessionHours

type _Columns = Mapping[str, pa.Array]

# `$` alone means one thing to Arrow and another to Python, whose `$` overlooks a line end.
SOURCE: Final = "^(?:vendor$|lexicon:.|none:.)"
NOT_IN_A_SOURCE: Final = "[^a-z0-9:_.+-]"
NOT_IN_A_LANGUAGE: Final = "[^a-z]"
"""A language is the two or three letters of ISO 639."""


def broken(columns: _Columns, hours: "SessionHours") -> dict[str, pa.Array]:
    """Return the rules: a row is of its session, says something, and its judgement says whose it is."""
    after, until = SPANS["news"](hours)
    published, score = columns["published_utc"], columns["sentiment"]
    source, language = columns["sentiment_source"], columns["language"]
    early = pc.less_equal(published, pa.scalar(after, published.type))
    late = pc.greater(published, pa.scalar(until, published.type))
    return {
        RowReason.OUTSIDE_SESSION: any_of(early, late),
        RowReason.EMPTY_TITLE: any_of(columns["title"].is_null(), pc.equal(columns["title"], "")),
        RowReason.SENTIMENT_OUT_OF_RANGE: any_of(pc.less(score, -1.0), pc.greater(score, 1.0)),
        RowReason.UNKNOWN_SENTIMENT_SOURCE: any_of(
            source.is_null(),
            pc.invert(pc.match_substring_regex(source, SOURCE)),
            pc.match_substring_regex(source, NOT_IN_A_SOURCE),
        ),
        RowReason.UNKNOWN_LANGUAGE: any_of(
            language.is_null(),
            pc.less(pc.utf8_length(language), 2),
            pc.greater(pc.utf8_length(language), 3),
            pc.match_substring_regex(language, NOT_IN_A_LANGUAGE),
        ),
    }


def warnings(good: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return what is odd and kept: an article seen before its own time, by the vendor's clock, or without a score."""
    return {
        WarningName.SEEN_BEFORE_PUBLISHED: any_of(pc.less(good["first_seen_utc"], good["published_utc"])),
        WarningName.NO_SENTIMENT: is_missing(good["sentiment"]),
    }
