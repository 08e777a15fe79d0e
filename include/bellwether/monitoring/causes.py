"""Whose a failure is, by the name of its error's class: the one thing of an error that travels everywhere."""

from bellwether import errors
from bellwether.errors import BellwetherError, Blame


def blame_of(name: str) -> Blame:
    """Return whose an error is.

    Parameters
    ----------
    name
        Of its class; one that is not Bellwether's, and whatever is no class at all, is ours.
    """
    cls = getattr(errors, name, None)
    return cls.blame if isinstance(cls, type) and issubclass(cls, BellwetherError) else Blame.OURS
