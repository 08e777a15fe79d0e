"""Days as the vendor's requests name them: midnights of New York, dates, and whether prices are adjusted."""

from collections.abc import Mapping
from datetime import date, datetime, time

from bellwether.calendar import NEW_YORK
from bellwether.simulator.answers import Refused


def midnight_ms(day: date) -> int:
    """Return the New York midnight a day begins with, in ms UTC: the `t` of a day bar."""
    return int(datetime.combine(day, time(), NEW_YORK).timestamp()) * 1000


def adjusted_of(query: Mapping[str, str]) -> bool:
    """Return the parameter `adjusted`, true where it is not given.

    Raises
    ------
    Refused
        `bad_request`: it is neither true nor false.
    """
    adjusted = query.get("adjusted", "true").lower()
    if adjusted not in {"true", "false"}:
        raise Refused("bad_request", "Could not parse the parameter 'adjusted'. Use true or false")
    return adjusted == "true"


def date_of(text: str, name: str = "date") -> date:
    """Return the date a parameter names.

    Raises
    ------
    Refused
        `bad_request`: it is none.
    """
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Refused("bad_request", f"Could not parse the time parameter: '{name}'. Use YYYY-MM-DD")
