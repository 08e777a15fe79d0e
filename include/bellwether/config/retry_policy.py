"""`retry_policy.yaml`: which error is tried again, how often, after which waits."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from bellwether import errors
from bellwether.config.model import Model

MOST_AIRFLOW_RETRIES = 5
"""The `retries` every Airflow task is given: its upper bound, also for kills, about which it asks no policy."""


class RetryRule(Model):
    """How one class of error is tried again; seconds, waits with full jitter."""

    attempts: int = Field(default=5, ge=1)
    base_s: float = Field(default=1.0, ge=0)
    cap_s: float = Field(default=120.0, ge=0)
    airflow_retries: int = Field(default=2, ge=0, le=MOST_AIRFLOW_RETRIES)


_NEVER = {"attempts": 1, "airflow_retries": 0}
# Someone must act first.
_FATAL = (
    *("ConfigError", "DriftError", "DrillFailed", "GapsLeft", "InputsMissing", "NotASession", "NotBroadcast"),
    *("NothingProven", "NotRecovered", "NotReproduced", "QualityError", "QuarantineError", "SnapshotMissed"),
    "StreamRefused",
)
_OVERTAKEN = ("InputsChanged",)
_REFUSED = ("BadRequest", "Unauthorized", "NotEntitled", "NotFound", "Drifted")


class RetryPolicies(Model):
    """`retry_policy.yaml`: a rule per error class of `bellwether.errors`; `default` fills what a rule leaves out.

    Attributes
    ----------
    patience_s
        The longest wait, in seconds, that a running task sits out; a longer one frees its slot.
    longest_wait_s
        Seconds one task may wait in all, without a slot, before it fails.
    """

    patience_s: float = Field(default=60.0, ge=0)
    longest_wait_s: float = Field(default=86_400.0, ge=0)
    default: RetryRule = RetryRule()
    errors: dict[str, RetryRule] = Field(
        default_factory=lambda: {
            **{name: RetryRule(**_NEVER) for name in (*_FATAL, *_REFUSED, *_OVERTAKEN)},
            "BadResponse": RetryRule(attempts=3),
            "NotPublishedYet": RetryRule(attempts=1, base_s=3600.0),
            "RateLimited": RetryRule(attempts=3, base_s=60.0),
        }
    )

    @field_validator("errors")
    @classmethod
    def _known(cls, rules: dict[str, RetryRule]) -> dict[str, RetryRule]:
        if unknown := sorted(name for name in rules if not isinstance(getattr(errors, name, None), type)):
            msg = f"no such error: {', '.join(unknown)}; the classes are those of bellwether.errors"
            raise ValueError(msg)
        return rules

    @model_validator(mode="before")
    @classmethod
    def _inherit_default(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the YAML file holds
        if isinstance(data, Mapping) and isinstance(data.get("errors"), Mapping):
            base = data.get("default") or {}
            data = {**data, "errors": {name: {**base, **(rule or {})} for name, rule in data["errors"].items()}}
        return data

    def rule_for(self, error: BaseException) -> RetryRule:
        """Return the rule of the nearest class in the error's ancestry, or the default."""
        for cls in type(error).__mro__:
            if cls.__name__ in self.errors:
                return self.errors[cls.__name__]
        return self.default
