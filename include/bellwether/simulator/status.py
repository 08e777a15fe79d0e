"""The market status endpoint, `/v1/marketstatus/now`: what the clock means to the exchange."""

from datetime import datetime

from bellwether.calendar import NEW_YORK, get_calendar

_INDICES = (
    "s_and_p",
    "societe_generale",
    "msci",
    "ftse_russell",
    "mstar",
    "mstarc",
    "cccy",
    "cgi",
    "nasdaq",
    "dow_jones",
)


def market_status(now: datetime) -> dict[str, object]:
    """Return the body of the status at `now` (aware)."""
    local = now.astimezone(NEW_YORK)
    calendar = get_calendar()
    market, early, after = "closed", False, False
    if calendar.is_session(local.date()):
        hours = calendar.hours(local.date())
        early = hours.pre_open <= now < hours.open
        after = hours.close <= now < hours.post_close
        if early or after:
            market = "extended-hours"
        elif hours.open <= now < hours.close:
            market = "open"
    # Currency markets close from Friday 17:00 to Sunday 17:00 New York.
    weekend = (local.weekday(), local.hour)
    currencies = "closed" if (4, 17) <= weekend < (6, 17) else "open"
    return {
        "afterHours": after,
        "currencies": {"crypto": "open", "fx": currencies},
        "earlyHours": early,
        "exchanges": {"nasdaq": market, "nyse": market, "otc": market},
        "indicesGroups": dict.fromkeys(_INDICES, "open" if market == "open" else "closed"),
        "market": market,
        "serverTime": local.isoformat(timespec="seconds"),
    }
