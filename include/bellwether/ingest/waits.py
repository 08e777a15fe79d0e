"""How long an error asks to wait before the same question may have an answer.

From an error to an instant; who waits, and where, is the caller's: a task that gives its slot away
meanwhile, or a retry.
"""

from datetime import date, datetime, time, timedelta

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.config import RetryPolicies
from bellwether.due import DUE
from bellwether.errors import NotPublishedYet, VendorError


def wait_until(
    error: VendorError, policies: RetryPolicies, *, dataset: str, session: date, now: datetime
) -> datetime | None:
    """Return the instant at which to ask again, or None where an ordinary retry is the answer.

    Parameters
    ----------
    error
        What the vendor, or the key's own limit, said.
    policies
        `retry_policy.yaml`: waits up to its `patience_s` are no reason to leave.
    dataset, session
        What was asked for.
    now
        The present, UTC.

    Returns
    -------
    datetime or None
        UTC. For data not published yet it is the next moment at which they can exist; once all of them have
        passed, `base_s` of the error's rule from now.
    """
    asked_s = error.retry_after_s
    if isinstance(error, NotPublishedYet) and asked_s is None:
        later = (moment for moment in _appearances(dataset, session) if moment > now)
        return next(later, now + timedelta(seconds=policies.rule_for(error).base_s))
    if asked_s is not None and asked_s > policies.patience_s:
        return now + timedelta(seconds=asked_s)
    return None


def _appearances(dataset: str, session: date) -> tuple[datetime, datetime]:
    """Return when a session's data may first exist: when due, and at the end of the day the vendor speaks of."""
    due = DUE[dataset](get_calendar().hours(session))
    end_of_day = datetime.combine(session + timedelta(days=1), time(), NEW_YORK)
    return due, end_of_day.astimezone(due.tzinfo)
