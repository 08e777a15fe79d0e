"""The configuration: who is captured, and which waivers have run out. Loading it has proven that it is well-formed."""

from collections.abc import Sequence

from bellwether.config import Mute
from bellwether.doctor.finding import Finding, ok, warning


def judge_universe(dataset: str, origin: str, tickers: int | None) -> Finding:
    """Return who is captured; `tickers` is None where only the vendor can tell how many a rule finds."""
    count = "as many tickers as it finds" if tickers is None else f"{tickers:,} tickers"
    return ok("configuration", f"all files are well-formed; the universe of {dataset}: {origin}, {count}")


def judge_waivers(expired: Sequence[Mute]) -> list[Finding]:
    """Return the waivers of alerts that no longer hold; nothing where there are none."""
    if not expired:
        return []
    named = ", ".join(f"{mute.dag_id} until {mute.until} ({mute.reason})" for mute in expired)
    return [
        warning(
            "alerts",
            f"waivers in config/alerts.yaml have run out, so people are told again: {named}",
            "delete them, or give them a new date and a reason",
        )
    ]
