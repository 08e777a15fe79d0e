"""The configuration: who is captured, and which waivers have run out. Loading it has proven that it is well-formed."""

from collections.abc import Mapping, Sequence

from bellwether.config import Contract, Mute
from bellwether.doctor.finding import Finding, ok, problem, warning
from bellwether.drift.forms import ROWS, check_contracts
from bellwether.errors import ConfigError
from bellwether.universe.spec import shown


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


def judge_contracts(contracts: Mapping[str, Contract]) -> Finding:
    """Return whether the contracts of what the vendor sends say what the decoders read, and who has none."""
    try:
        check_contracts(contracts)
    except ConfigError as error:
        return problem("contracts", str(error), "correct the files: until then nothing can be captured")
    if lacking := sorted(ROWS.keys() - contracts.keys()):
        says = f"without a contract, and compared with nothing: {shown(lacking)}"
        return warning("contracts", says, "put their files back into config/contracts")
    return ok("contracts", f"{len(contracts)} datasets are compared with what the vendor promises of them")
