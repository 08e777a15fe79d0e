"""What the doctor says: one finding per check, in plain words. Knows no check."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "could not check"


class Finding(msgspec.Struct, frozen=True):
    """The outcome of one check.

    Attributes
    ----------
    check
        What was looked at.
    level
        How bad it is.
    says
        What was found, and what it means for the user.
    advice
        What to do; empty where nothing is to be done.
    """

    check: str
    level: Level
    says: str
    advice: str = ""


def ok(check: str, says: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Level.OK, says)


def warning(check: str, says: str, advice: str = "") -> Finding:
    """Return what works, but not as one might think."""
    return Finding(check, Level.WARNING, says, advice)


def problem(check: str, says: str, advice: str) -> Finding:
    """Return what will not work, and what to do."""
    return Finding(check, Level.PROBLEM, says, advice)


def unknown(check: str, why: str, advice: str = "") -> Finding:
    """Return that nobody could tell, and why."""
    return Finding(check, Level.UNKNOWN, why, advice)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 where there is a problem, else 0: a warning, or what could not be checked, stops nobody."""
    return int(any(finding.level is Level.PROBLEM for finding in findings))
