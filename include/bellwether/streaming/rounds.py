"""What is done again and again while a session goes on: a round comes to an end, or says when the next one is due."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Again:
    """What a round returns after which there is another.

    Attributes
    ----------
    length
        After how long, of the feed's time.
    why
        What for, in words.
    """

    length: timedelta
    why: str
