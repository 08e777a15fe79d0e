"""What all parts of the configuration have in common: no unknown keys, no changes after loading."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)
