"""What was built is judged before it is published: the suite's rules, and the checks of the chain, counted."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import msgspec
import pyarrow as pa

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate.checks import check_chain, count_by_expiration
from bellwether.consolidate.greeks.status import IvStatus
from bellwether.consolidate.pinned import Pinned
from bellwether.consolidate.streamed import until_of
from bellwether.errors import QualityError
from bellwether.faultpoints import reach
from bellwether.lake import Lake, paths
from bellwether.lake.stage import BatchRecord
from bellwether.quality.gold import GoldVerdict, judge_gold


def judge(
    lake: Lake,
    config: Config,
    inputs: Mapping[str, str],
    session: date,
    dataset: str,
    table: pa.Table,
    record: BatchRecord,
) -> GoldVerdict:
    """Judge a session of gold, and write down what was found: of the chain by expiration, too.

    Parameters
    ----------
    inputs
        What it was built from: see `bellwether.consolidate.inputs`.
    table, record
        What is staged.

    Returns
    -------
    GoldVerdict
        Its warnings count the reasons without a volatility, too.

    Raises
    ------
    QualityError
        A rule is broken.
    InputsChanged
        The snapshot it is compared with was published anew.
    """
    checked, span = None, _span(config, dataset, session, until_of(inputs))
    if dataset == "chain":
        checked = check_chain(table, Pinned(lake, session, inputs).table("options_snapshot"))
    verdict = judge_gold(
        table,
        dataset=dataset,
        session=session,
        span=span,
        rows_expected=_rows_expected(dataset, span, record),
        checked=checked,
    )
    if checked is not None:
        verdict.warnings.update(_unsolved(table))
        verdict.result["by_expiration"] = count_by_expiration(table, checked)
    lake.storage.write(paths.quality(dataset, session), msgspec.json.encode(verdict.result))
    reach(f"consolidate.{dataset}_judged", session)
    if verdict.failures:
        msg = f"{dataset} {session}: quality: {'; '.join(verdict.failures)}; nothing was published"
        raise QualityError(msg)
    return verdict


def _span(config: Config, dataset: str, session: date, until: datetime | None) -> tuple[datetime, datetime]:
    """Return between which instants minutes start; those of a session that goes on are over by `until`."""
    hours = get_calendar().hours(session)
    if dataset == "minutes":
        is_extended = config.settings.consolidation.extended_hours
        start, end = (hours.pre_open, hours.post_close) if is_extended else (hours.open, hours.close)
    else:
        # Some options trade after the close, and late reports come after it.
        start, end = hours.open, hours.post_close
    return start, end if until is None else max(start, min(end, until))


def _rows_expected(dataset: str, span: tuple[datetime, datetime], record: BatchRecord) -> int:
    """Return how many rows there must be: of every equity one in each minute."""
    if dataset == "minutes":
        return len(record.coverage) * int((span[1] - span[0]) / timedelta(minutes=1))
    return sum(known.rows for known in record.coverage.values())


def _unsolved(chain: pa.Table) -> dict[str, int]:
    counts = chain["iv_status"].value_counts().to_pylist()
    return {each["values"]: each["counts"] for each in counts if each["values"] != IvStatus.OK.code}
