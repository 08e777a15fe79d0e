"""The market status endpoints, `/v1/marketstatus/now` and `/upcoming`: what the clock means to the exchange."""

from datetime import date, datetime, timedelta

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


def upcoming(now: datetime) -> list[dict[str, str]]:
    """Return the body of the closed and short days after `now` (aware), one row per exchange, as a bare array."""
    calendar = get_calendar()
    today = now.astimezone(NEW_YORK).date()
    horizon = min(today + timedelta(days=365), calendar.last)
    weekdays = (today + timedelta(days=number) for number in range((horizon - today).days + 1))
    rows = []
    for day in weekdays:
        change = _change(day)
        if change:
            rows += [{"date": day.isoformat(), "exchange": exchange, **change} for exchange in ("NYSE", "NASDAQ")]
    return rows


def _change(day: date) -> dict[str, str]:
    """Return how a day differs from an ordinary one; nothing for weekends and ordinary days."""
    calendar = get_calendar()
    if day.weekday() >= 5:
        return {}
    if not calendar.is_session(day):
        return {"name": "Market holiday", "status": "closed"}
    hours = calendar.hours(day)
    if not hours.is_half_day:
        return {}
    bounds = {
        name: moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for name, moment in (("open", hours.open), ("close", hours.close))
    }
    return {"name": "Half day", "status": "early-close", **bounds}
