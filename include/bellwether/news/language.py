"""In which language a headline is written: py3langid, told that the vendor's feed is mostly English.

Headlines are short and full of names, and names look foreign. The detector is a naive Bayes classifier, so what is
known of the feed beforehand is a term added to the score of English. Measured in docs/sentiment.md.
"""

import math
from typing import Final

UNDETERMINED: Final = "und"
"""ISO 639's code for a text that has no language: no letter in it."""

_ENGLISH_SHARE: Final = 0.95
_OTHER_LANGUAGES: Final = 96
_ENGLISH_LOG_ODDS: Final = math.log(_ENGLISH_SHARE * _OTHER_LANGUAGES / (1 - _ENGLISH_SHARE))
"""Of English against any one other language, before a word is read."""


def language_of(text: str) -> str:
    """Return the ISO 639 code of a text's language, `und` if it has no letters.

    Parameters
    ----------
    text
        Clean text, a headline or longer.
    """
    from py3langid import rank  # noqa: PLC0415 - unpacks a model: a second, in the process that needs it

    if not any(c.isalpha() for c in text):
        return UNDETERMINED
    ranked = rank(text)
    best, score = ranked[0]
    return "en" if dict(ranked)["en"] + _ENGLISH_LOG_ODDS >= score else str(best)
