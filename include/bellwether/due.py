"""When a session of each dataset may be captured: the one home of these delays.

Read when DAG files are parsed, so this room imports nothing heavy.
"""

from datetime import timedelta

DELAY_MINUTES = {"equities": 15}
"""Minutes after the end of extended hours (20:00 New York). Bars of the last minutes come up to 15 minutes late on
delayed plans, and late prints still change them."""


def delay(dataset: str) -> timedelta:
    """Return how long after the end of extended hours a dataset's session is due."""
    return timedelta(minutes=DELAY_MINUTES[dataset])
