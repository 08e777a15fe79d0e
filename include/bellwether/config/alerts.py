"""`alerts.yaml`: which alerts leave the log, when, and by which ways."""

from datetime import date, timedelta
from datetime import time as clock_time
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bellwether.config.model import Model

type Severity = Literal["warning", "error", "critical"]
"""`critical` is what cannot be had later; `error` what a required dataset, or gold, stands still by; else `warning`."""

SEVERITIES: tuple[Severity, ...] = ("warning", "error", "critical")
"""Ascending."""


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


class QuietHours(Model):
    """When what is not critical is held back, New York; none where both are None, over midnight where `to` is earlier.

    Attributes
    ----------
    begin, end
        As `HH:MM`. At the end one message tells of all that was held back.
    """

    begin: clock_time | None = None
    end: clock_time | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.begin is None) != (self.end is None) or (self.begin is not None and self.begin == self.end):
            msg = "give begin and end, two different times, or neither"
            raise ValueError(msg)
        return self


class Storm(Model):
    """From how many on incidents become one message.

    Attributes
    ----------
    incidents, minutes
        More than so many within so many minutes.
    """

    incidents: int = Field(default=10, ge=1)
    minutes: int = Field(default=10, ge=1, le=240)

    @property
    def window(self) -> timedelta:
        """As a duration."""
        return timedelta(minutes=self.minutes)


class Routes(Model):
    """Which entries of the Connection hear of which severity, by their tags; those without a tag hear of all.

    Attributes
    ----------
    warning, error, critical
        Tags; none means every entry. Of what healed, those hear who heard of it when it was open.
    """

    warning: tuple[str, ...] = ()
    error: tuple[str, ...] = ()
    critical: tuple[str, ...] = ()


class DeliverySettings(Model):
    """How long a message is tried to be delivered.

    Attributes
    ----------
    timeout_s
        For a message to all sinks together; whoever sends waits no longer.
    retry_after_min
        A sink that did not take it is tried again after so many minutes, one after the other.
    """

    timeout_s: float = Field(default=10.0, gt=0, le=60)
    retry_after_min: tuple[Annotated[float, Field(gt=0)], ...] = (1.0, 5.0, 15.0, 60.0, 240.0)


class Alerts(Model):
    """`alerts.yaml`: which alerts leave the log. Where they go is the Connection `alerts`: addresses hold secrets."""

    minimum_severity: Severity = "warning"
    mute: tuple[Mute, ...] = ()
    quiet_hours: QuietHours = QuietHours()
    storm: Storm = Storm()
    routes: Routes = Routes()
    delivery: DeliverySettings = DeliverySettings()

    def expired(self, today: date) -> list[Mute]:
        """Return the waivers that no longer hold: each is to be ended or given a new date, and a reason."""
        return [mute for mute in self.mute if mute.until < today]

    def is_below(self, severity: Severity) -> bool:
        """Return whether a severity is less than what people are told of."""
        return SEVERITIES.index(severity) < SEVERITIES.index(self.minimum_severity)
