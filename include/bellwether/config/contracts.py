"""`contracts/<dataset>.yaml`: what the vendor promises of a dataset's rows, field by field, as they are on the wire.

What people approved since a file was written stands in the lake, as later versions of the same form. A dataset without
a file is not compared with anything.
"""

from datetime import date, datetime
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from bellwether.config.model import Model

type WireType = Literal["number", "integer", "text", "flag", "date", "instant", "object", "list"]


class Scale(Model):
    """A unit that the vendor changed.

    Attributes
    ----------
    since_utc
        Holds for answers that came at this moment or later, until the next one.
    factor
        What the number on the wire is multiplied by, to be in the field's `unit`.
    """

    since_utc: AwareDatetime
    factor: float = Field(gt=0, allow_inf_nan=False)


class Tolerance(Model):
    """How far a session's values may be from those of the trailing sessions.

    Attributes
    ----------
    null_share
        By how much the share of rows without a value may exceed the usual one.
    nulls
        A share that is accepted whatever is usual.
    unit_decades
        How near to a power of ten, in decades, a ratio is taken for a change of unit.
    shift_decades
        By how much, in decades, medians may move before that is noted.
    """

    null_share: float = Field(default=0.2, ge=0, le=1)
    nulls: float = Field(default=0.0, ge=0, le=1)
    unit_decades: float = Field(default=0.2, gt=0, lt=0.5)
    shift_decades: float = Field(default=0.7, gt=0, allow_inf_nan=False)


class FieldContract(Model):
    """One field.

    Attributes
    ----------
    type
        Of its value: `integer` is a number without a fraction, `date` and `instant` are texts of that form.
    column
        The dataset's column that holds its values; None where these are not compared. Of texts only nulls are.
    unit
        In words; an integer in `s`, `ms`, `us` or `ns` is an instant of our time.
    nullable
        May be null or left out. Of a field that the decoder wants, only where rows can do without it.
    usual
        Rows have it as a rule, so that a page without is suspicious although it is nullable.
    words
        Every text it may hold, those that the decoder knows among them; none for any.
    aliases
        Further names under which the vendor sends it.
    lenient
        Values of another JSON type are taken that say the same: `"12"` for 12.
    scales
        Changes of its unit, the oldest first.
    moves_with
        A field that truly rises and falls with it: what moves both is no change of unit.
    compared_since
        Sessions before this one were of other values and are compared with no more.
    """

    type: WireType
    column: str | None = None
    unit: str = ""
    nullable: bool = False
    usual: bool = False
    words: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    lenient: bool = False
    scales: tuple[Scale, ...] = ()
    moves_with: str | None = None
    compared_since: date | None = None
    tolerance: Tolerance = Tolerance()


class Approval(Model):
    """Who let a version of a contract come into force, and for which change."""

    change_id: str
    by: str
    at_utc: datetime


class Contract(Model):
    """One dataset's contract.

    Attributes
    ----------
    version
        Rises with each change.
    key
        The dataset's columns that tell its rows apart.
    fields
        By name on the wire; what stands in an object has its path: `details.ticker`.
    also
        Fields that are known and not read.
    approval
        Of a version that is kept in the lake.
    """

    version: int = Field(ge=1)
    key: tuple[str, ...] = Field(min_length=1)
    fields: dict[str, FieldContract] = Field(min_length=1)
    also: tuple[str, ...] = ()
    approval: Approval | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, field in self.fields.items():
            if field.moves_with is not None and field.moves_with not in self.fields:
                msg = f"{name} moves with {field.moves_with}, which is no field"
                raise ValueError(msg)
            if field.words and field.type != "text":
                msg = f"{name} has words but is of type {field.type}"
                raise ValueError(msg)
        names = [*self.fields, *(alias for field in self.fields.values() for alias in field.aliases), *self.also]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"named twice: {', '.join(twice)}"
            raise ValueError(msg)
        return self
