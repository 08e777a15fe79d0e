"""Sessions verified: each published dataset of each read, built again, compared, and judged. Never raises of one."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

import pyarrow as pa

from bellwether import __version__
from bellwether.config import Config
from bellwether.drift.ledger import read_version, versions
from bellwether.errors import BellwetherError, LakeError
from bellwether.ingest.sources import CAPTURED
from bellwether.lake import Lake, Manifest
from bellwether.lake.lake import Published
from bellwether.lake.layout import FileLayout
from bellwether.lake.revisions import revision_of
from bellwether.logging import get_logger
from bellwether.schemas import FORMS, GOLD, SCHEMA_VERSION
from bellwether.verify import captured, gold
from bellwether.verify.compare import difference
from bellwether.verify.outcome import Outcome, State, Unverifiable

log = get_logger(__name__)


def sample(lake: Lake, last: date, count: int) -> list[date]:
    """Return so many sessions with anything published up to one, ascending; the same ones for the same last."""
    known = sorted({each for dataset in (*CAPTURED, *GOLD) for each in lake.sessions(dataset) if each <= last})
    # A seed of text: that of a date would be its hash, another one in each process.
    return sorted(random.Random(last.isoformat()).sample(known, min(count, len(known))))  # noqa: S311 - no secret


def verify(lake: Lake, config: Config, session: date) -> list[Outcome]:
    """Return what can be said of each published dataset of a session, captured ones first."""
    outcomes = [
        found
        for dataset in CAPTURED
        if (found := _verified(lake, config, dataset, session, lambda m: captured.rebuild(lake, config, m)))
    ]
    built: dict[str, pa.Table] = {}

    def rebuilt(manifest: Manifest) -> pa.Table:
        if not built:
            manifests = {each: lake.manifest(each, session) for each in GOLD}
            built.update(gold.rebuild(lake, config, {each: found for each, found in manifests.items() if found}))
        return built[manifest.dataset]

    outcomes += [found for dataset in GOLD if (found := _verified(lake, config, dataset, session, rebuilt))]
    for each in outcomes:
        log.info("verified", dataset=each.dataset, session=session.isoformat(), state=each.state.value, why=each.why)
    return outcomes


def _verified(
    lake: Lake, config: Config, dataset: str, session: date, rebuild: Callable[[Manifest], pa.Table]
) -> Outcome | None:
    """Return what can be said of one partition; None where there is none."""
    found = Outcome(session, dataset, State.EQUAL, "", lake.clock.now())
    try:
        published = lake.partition(dataset, session)
        if published is None:
            return None
        found = replace(found, rows=published.table.num_rows, revision=published.manifest.revision)
        _check_itself(published)
        rebuilt = rebuild(published.manifest)
    except Unverifiable as error:
        return replace(found, state=State.UNVERIFIABLE, why=str(error))
    except BellwetherError as error:
        return replace(found, state=State.DAMAGED, why=str(error))
    layout = FileLayout(config.sinks.of(dataset), config.settings.lake.compression)
    differs = difference(published.table, rebuilt, (FORMS | GOLD)[dataset].key, layout)
    found = replace(found, rows_rebuilt=rebuilt.num_rows, rows_different=0)
    if differs is None:
        return found
    found = replace(found, rows_different=differs.rows, columns=differs.columns)
    if why := "; ".join(_changed_since(lake, config, published.manifest)):
        return replace(found, state=State.UNVERIFIABLE, why=f"{why}, and by today's: {differs.first}")
    return replace(found, state=State.DIFFERENT, why=differs.first)


def _check_itself(published: Published) -> None:
    """Refuse a publication whose values are not those that its manifest names.

    Raises
    ------
    Unverifiable
        An earlier schema wrote it.
    LakeError
        They are others.
    """
    manifest = published.manifest
    if manifest.schema_version != SCHEMA_VERSION:
        msg = f"schema version {manifest.schema_version}: `bellwether migrate` brings it to today's"
        raise Unverifiable(msg)
    if (found := revision_of(published.table)) != manifest.revision:
        msg = f"its values come to revision {found[:12]}, and its manifest says {manifest.revision[:12]}"
        raise LakeError(msg)


def _changed_since(lake: Lake, config: Config, manifest: Manifest) -> Iterator[str]:
    """Yield what may explain that the same evidence comes to other rows today."""
    if manifest.code_version != __version__:
        yield f"it was built by Bellwether {manifest.code_version}"
    if manifest.config_hash != config.hash:
        yield "it was built by another configuration"
    for version in versions(lake).get(manifest.dataset, ()):
        approval = read_version(lake, manifest.dataset, version).approval
        if approval is not None and approval.at_utc > manifest.published_utc:
            yield f"version {version} of its contract was approved since"
