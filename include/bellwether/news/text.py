"""From what a publisher wrote to plain text: no markup, no controls, one space between words, any language.

Input may be hostile: only so much of it is read, and the work on that is bounded.
"""

import html
import re
import unicodedata
from typing import Final

TITLE_CHARS: Final = 500
DESCRIPTION_CHARS: Final = 4_000
NAME_CHARS: Final = 200
URL_CHARS: Final = 2_048

_RAW_CHARS: Final = 20_000
"""As much of a field as is looked at, so that a megabyte of markup costs some milliseconds."""
_PASSES: Final = 4
"""Feeds escape twice at times (`&amp;lt;b&amp;gt;`); more layers than this are no accident."""
# The standard library's parser raises on `<![` and needs quadratic time for `<a b=<a b=`. Here every branch stops at
# the next `<` or takes all that is left, so each character is read a fixed number of times. As in a browser, a letter
# right behind `<` begins a tag and what never ends reaches to the end of the text.
_MARKUP: Final = re.compile(
    r"""<!--(?:.*?-->|.*)
      | <(?P<unseen>script|style)(?=[\s/>]|$)(?:.*?</(?P=unseen)(?=[\s/>]|$)[^<>]*>?|.*)
      | <(?:/?(?P<tag>[a-z][a-z0-9]*)|[!?])(?:[^<>"']++|"[^"<]*+"|'[^'<]*+'|["'])*+>?
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_BLOCKS: Final = frozenset(
    {"article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header"}
    | {"hr", "li", "ol", "option", "p", "pre", "section", "table", "td", "th", "tr", "ul"}
)
# Joiners belong to the spelling of Persian and Indic words and to emoji; in Latin text they only hide words.
_STRAY_JOINERS: Final = re.compile("(?<![\u0600-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\U0010ffff])")
_JOINERS: Final = "\u200c\u200d"
_DROPPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def clean_text(raw: str, max_chars: int) -> str:
    """Return the text of HTML or of plain words.

    Parameters
    ----------
    raw
        As the vendor delivered it.
    max_chars
        Length of the answer at most; what is beyond is cut off.

    Returns
    -------
    str
        Unicode NFC; without tags, comments, scripts, styles, entities, control, zero-width and bidi characters;
        runs of white space are one space. Empty if nothing is left.
    """
    text = raw[:_RAW_CHARS]
    for _ in range(_PASSES):
        before, text = text, _without_markup(text)
        if text == before:
            break
    return clean_line(text, max_chars)


def clean_line(raw: str, max_chars: int) -> str:
    """Return one line without control characters; for what is not HTML, such as a URL.

    Parameters
    ----------
    raw
        As the vendor delivered it.
    max_chars
        Length of the answer at most.
    """
    # White space first: tabs and line ends are control characters too, but they part words.
    text = " ".join(unicodedata.normalize("NFC", raw[:_RAW_CHARS]).split())
    # What is dropped may have kept a base and its accent, or two spaces, apart.
    text = "".join(c for c in text if c in _JOINERS or unicodedata.category(c) not in _DROPPED)
    text = unicodedata.normalize("NFC", _STRAY_JOINERS.sub("", text))
    return " ".join(text.split())[:max_chars].rstrip()


def _without_markup(text: str) -> str:
    return html.unescape(_MARKUP.sub(lambda found: " " if (found["tag"] or "").lower() in _BLOCKS else "", text))
