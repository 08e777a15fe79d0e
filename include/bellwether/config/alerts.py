"""`alerts.yaml`: which alerts leave the log."""

from datetime import date
from typing import Literal

from pydantic import Field

from bellwether.config.model import Model


class Mute(Model):
    """A waiver: alerts of one DAG that go to its log alone until a date.

    Attributes
    ----------
    dag_id
        Whose alerts.
    cause
        Only those with no other cause than this class of error; None means all.
    reason
        Why nobody need be told.
    until
        The last day, UTC, on which the waiver holds.
    """

    dag_id: str
    cause: str | None = None
    reason: str = Field(min_length=1)
    until: date


class Alerts(Model):
    """`alerts.yaml`: which alerts leave the log. Where they go is the Connection `alerts`: addresses hold secrets."""

    minimum_severity: Literal["warning", "error"] = "warning"
    mute: tuple[Mute, ...] = ()

    def expired(self, today: date) -> list[Mute]:
        """Return the waivers that no longer hold: each is to be ended or given a new date, and a reason."""
        return [mute for mute in self.mute if mute.until < today]
