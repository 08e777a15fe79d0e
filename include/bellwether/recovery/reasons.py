"""Why a session of a dataset is to be recovered: each mode by what it finds in the ledger."""

from collections.abc import Sequence

from bellwether.lake import Coverage
from bellwether.recovery.ledger import Gold, Known
from bellwether.recovery.request import Mode

_MOST_NAMED = 3


def why_wanted(mode: Mode, dataset: str, known: Known, gold: Gold | None) -> str | None:
    """Return why a session of a dataset is to be recovered, in words; None where it need not be.

    Parameters
    ----------
    mode
        What makes a session one to recover.
    dataset, known
        The dataset, and what the ledger says of the session.
    gold
        Of the session; asked for `revised` alone.
    """
    if mode is Mode.FORCE:
        return "everything again"
    if mode is Mode.REVISED:
        return _why_revised(dataset, gold)
    if mode is Mode.QUARANTINED:
        return _of(known.quarantined, known, "with rows in quarantine")
    failed = [ticker for ticker, state in known.unproven.items() if state is Coverage.FAILED]
    if mode is Mode.FAILED:
        return _of(failed, known, "failed")
    settled = {*failed, *known.quarantined}
    missing = [ticker for ticker in known.unproven if ticker not in settled]
    return "never planned" if known.universe is None else _of(missing, known, "missing")


def _why_revised(dataset: str, gold: Gold | None) -> str | None:
    if gold is None or gold.lacking or dataset not in gold.changed:
        return None
    return f"{dataset} changed since gold was built" if gold.exists else "there is no gold yet"


def _of(tickers: Sequence[str], known: Known, what: str) -> str | None:
    if not tickers:
        return None
    count = len(known.universe or ())
    if len(tickers) == count:
        return what if count == 1 else f"all {count} {what}"
    more = " ..." if len(tickers) > _MOST_NAMED else ""
    return f"{len(tickers)} of {count} {what}: {', '.join(tickers[:_MOST_NAMED])}{more}"
