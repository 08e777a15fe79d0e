"""A handful of calls per dataset with a real key, to see whether the vendor still answers as expected.

Every endpoint is read through the strict transport, so an answer that is not the promised one is a problem here
before it is one in production. What the plan does not include, and what cannot be checked at all, is said.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.cli.doctor import connect
from bellwether.cli.options import VendorAccess, vendor_access
from bellwether.config import Config
from bellwether.doctor import plan
from bellwether.doctor.entitlement import (
    PROBES,
    Answer,
    Probe,
    Result,
    Subject,
    Verdict,
    first_contract,
    result_of,
    session_bars,
)
from bellwether.doctor.finding import Finding, exit_code, ok, problem, unknown, warning
from bellwether.doctor.vendor import Vendor
from bellwether.due import DUE
from bellwether.errors import BadResponse, ConfigError, Unauthorized, VendorError
from bellwether.sources import endpoints
from bellwether.sources.endpoints import Endpoint
from bellwether.sources.filters import Value
from bellwether.sources.rest import PolygonRest

NO_KEY = 2
_UNKNOWN_TICKER = "ZZZZZZ"
_WRONG_KEY = "not-a-key-of-anybody-0123456789"

UNCHECKED = {
    "Retry-After on 429": "provoking it would use up the key's requests for everybody who shares it",
    "WebSocket": "nothing streams yet",
    "when polygon.io's hosts end": "no answer tells",
}
"""What nothing here can find out (what is not verified of the vendor), and why."""


def _listing(endpoint: Endpoint[Any], filters: Callable[[Subject], Mapping[str, Value]]) -> Probe:
    return Probe(endpoint.name, lambda rest, subject: rest.listing(endpoint, filters(subject)))


def _two_pages_of_news(rest: PolygonRest, subject: Subject) -> Answer:
    # A page holds 1,000 articles, and that many are published in two or three days.
    since = get_calendar().hours(subject.session).open - timedelta(days=3)
    return rest.listing(endpoints.NEWS, {"published_utc.gte": since})


def _expired_contracts(rest: PolygonRest, subject: Subject) -> Answer:
    filters: dict[str, Value] = {
        "underlying_ticker": subject.ticker,
        "expired": True,
        "as_of": subject.session,
        "expiration_date": get_calendar().previous(subject.session),
    }
    return rest.listing(endpoints.CONTRACTS, filters)


SURVEY = (
    *PROBES,
    _listing(endpoints.INDICES_SNAPSHOT, lambda _: {"ticker.any_of": ["I:VIX", "I:SPX"]}),
    _listing(endpoints.GROUPED_DAILY, lambda subject: {"day": subject.session, "include_otc": False}),
    _listing(endpoints.OPEN_CLOSE, lambda subject: {"ticker": subject.ticker, "day": subject.session}),
    _listing(endpoints.MARKET_STATUS, lambda _: {}),
    _listing(endpoints.MARKET_HOLIDAYS, lambda _: {}),
    Probe("options contracts, expired", _expired_contracts),
    Probe("news, several pages", _two_pages_of_news),
)
"""Every endpoint once, and where a second call tells more, a second one."""


MOST_CALLS = 3 + len(SURVEY) + 1 + plan.MOST_HISTORY_CALLS
"""Beside the survey: a wrong key, the vendor's time, an unknown ticker, the plan's history and what lies before it."""


def main(env: Mapping[str, str], ticker: str = "SPY") -> int:
    """Survey the vendor and write a line per check.

    Parameters
    ----------
    env
        Holds the key as the command line wants it: `POLYGON_API_KEY`, or `AIRFLOW_CONN_POLYGON_DEFAULT`.
    ticker
        The stock to ask about.

    Returns
    -------
    int
        0; 1 where an answer was not the promised one; 2 without a key.
    """
    try:
        access = vendor_access(None, env)
        config = Config.load(env=env)
    except ConfigError as error:
        sys.stderr.write(f"test-live: {error}\n")
        return NO_KEY
    vendor = Vendor(partial(connect, access, config), access.requests_per_minute)
    says = f"Asks {access.url} some {MOST_CALLS} times"
    limit = access.requests_per_minute
    sys.stderr.write(f"{says}{f'; that takes some {MOST_CALLS / limit:.0f} minutes' if limit else ''}.\n")
    findings = []
    for finding in (*_answers(vendor, access, config, ticker), *_unchecked()):
        findings.append(finding)
        advice = f"; {finding.advice}" if finding.advice else ""
        sys.stdout.write(f"{finding.level:<16} {finding.check}: {finding.says}{advice}\n")
        sys.stdout.flush()
    return exit_code(findings)


def _answers(vendor: Vendor, access: VendorAccess, config: Config, ticker: str) -> Iterator[Finding]:
    yield _wrong_key(access, config)
    try:
        now = vendor.ask(lambda rest: rest.market_status()).server_time
    except VendorError as error:
        yield problem("market status", str(error), "nothing else was asked")
        return
    session = get_calendar().last_due(now, DUE["equities"])
    subject = Subject(ticker, session, now.astimezone(NEW_YORK).date())
    for probe in SURVEY:
        result = probe.put(vendor.ask, subject)
        yield _told(probe.dataset, result)
        subject = replace(subject, contract=subject.contract or first_contract(result))
    yield _unknown_ticker(vendor, subject)
    yield _before_history(vendor, subject)


def _told(dataset: str, result: Result) -> Finding:
    match result.verdict:
        case Verdict.INCLUDED if result.answer is not None:
            return ok(dataset, f"{result.rows:,} rows on {len(result.answer.pages)} page(s), every one decoded")
        case Verdict.NOT_INCLUDED:
            return warning(dataset, f"not included in this plan ({result.reason})")
        case _ if isinstance(result.error, BadResponse):
            advice = "the vendor changed, or the transport is wrong: report it with the request's id"
            return problem(dataset, str(result.error), advice)
        case _:
            return unknown(dataset, f"{result.verdict} ({result.reason})")


def _wrong_key(access: VendorAccess, config: Config) -> Finding:
    try:
        connect(replace(access, key=_WRONG_KEY), config, access.requests_per_minute).market_status()
    except Unauthorized as error:
        return ok("wrong key", f"refused as expected ({error.message})")
    except VendorError as error:
        return problem(
            "wrong key", f"{type(error).__name__}, not Unauthorized: {error}", "the vendor's refusals changed"
        )
    return problem("wrong key", "accepted", "this is not the vendor, or it does not look at keys")


def _unknown_ticker(vendor: Vendor, subject: Subject) -> Finding:
    result = result_of(lambda: vendor.ask(lambda rest: session_bars(rest, _UNKNOWN_TICKER, subject.session)))
    says = f"bars of {_UNKNOWN_TICKER}: {result.verdict}, {result.rows} rows"
    return ok("unknown ticker", f"{says} {result.reason}".rstrip())


def _before_history(vendor: Vendor, subject: Subject) -> Finding:
    check = "before the plan's history"

    def bars(session: date) -> Result:
        return result_of(lambda: vendor.ask(lambda rest: session_bars(rest, subject.ticker, session)))

    depth = plan.measure_depth(bars, plan.candidates(subject.today))
    if depth.why_unknown:
        return unknown(check, depth.why_unknown)
    if depth.stops is None:
        return unknown(check, f"nothing is: bars go back to {depth.reaches}")
    result = bars(depth.stops)
    how = "refused" if result.verdict is Verdict.NOT_INCLUDED else "clipped, without a word"
    return ok(check, f"{depth.stops}: {how} ({result.reason or 'an empty answer'})")


def _unchecked() -> Iterator[Finding]:
    for what, why in UNCHECKED.items():
        yield unknown(what, why)
