"""What the steps of a consolidation hand each other: the plan, and the tables that they stage in the lake."""

from collections.abc import Collection
from datetime import date

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.config import Config
from bellwether.consolidate.inputs import RECORDER, published_inputs
from bellwether.consolidate.streamed import streamed_of
from bellwether.errors import InputsChanged, LakeError
from bellwether.lake import Lake, TickerCoverage, paths
from bellwether.lake.partition import PartitionFile
from bellwether.lake.stage import BatchRecord, Stage
from bellwether.schemas import CHAIN
from bellwether.universe.spec import shown


class GoldPlan(msgspec.Struct, frozen=True):
    """What one consolidation of a session builds; small enough to travel between tasks.

    Attributes
    ----------
    inputs
        The partitions it is built from: see `bellwether.consolidate.inputs`.
    underlyings
        Whose chains are built, sorted.
    kept
        Whose chains are taken from the published gold of the same inputs, sorted.
    """

    session: date
    stage_id: str
    inputs: dict[str, str]
    underlyings: tuple[str, ...]
    kept: tuple[str, ...] = ()


def chain_stage(lake: Lake, plan: GoldPlan) -> Stage:
    """Return where the chains are staged, each as the batch of its underlying's number."""
    return Stage(lake, "chain", plan.session, plan.stage_id)


def minutes_stage(lake: Lake, plan: GoldPlan) -> Stage:
    """Return where the minutes are staged, as one batch."""
    return Stage(lake, RECORDER, plan.session, plan.stage_id)


def remove_stages(lake: Lake, plan: GoldPlan) -> None:
    """Delete what was staged."""
    for stage in (chain_stage(lake, plan), minutes_stage(lake, plan)):
        stage.remove()


def chain_of(lake: Lake, config: Config, plan: GoldPlan) -> tuple[pa.Table, BatchRecord]:
    """Return the chains of all underlyings: those staged, and of the others what is published of the same inputs.

    Raises
    ------
    InputsChanged
        One is nowhere, and an input was published anew meanwhile.
    LakeError
        One is nowhere, and none was.
    """
    stage = chain_stage(lake, plan)
    staged = {name: stage.read_batch(index) for index, name in enumerate(plan.underlyings)}
    tables = {name: each[0] for name, each in staged.items() if each}
    coverage = {name: known for each in staged.values() if each for name, known in each[1].coverage.items()}
    seconds = sum(each[1].seconds for each in staged.values() if each)
    if wanted := {*plan.underlyings, *plan.kept} - tables.keys():
        kept, known = _published_chain(lake, plan, wanted)
        if missing := sorted(wanted - known.keys()):
            msg = f"the chain of {shown(missing)} on {plan.session} is not staged; clear its task with all downstream"
            raise nothing_staged(lake, config, plan, msg)
        tables |= {name: kept.filter(pc.equal(kept["underlying"], name)) for name in wanted}
        coverage |= known
    ordered = [tables[name] for name in sorted(tables)]
    record = BatchRecord(coverage=dict(sorted(coverage.items())), api_calls=0, seconds=seconds, raw={})
    return pa.concat_tables([CHAIN.empty_table(), *ordered]), record


def published_again(lake: Lake, config: Config, plan: GoldPlan) -> dict[str, str]:
    """Return what is published now of what the plan looked at: its streams as far as it has heard them."""
    return published_inputs(lake, config, plan.session, streamed_of(plan.inputs)).revisions


def nothing_staged(lake: Lake, config: Config, plan: GoldPlan, message: str) -> InputsChanged | LakeError:
    """Return why something is not staged: a step before left because inputs changed, or the message."""
    if published_again(lake, config, plan) != plan.inputs:
        return InputsChanged(f"inputs of {plan.session} were published anew while gold was being built from them")
    return LakeError(message)


def _published_chain(lake: Lake, plan: GoldPlan, wanted: Collection[str]) -> tuple[pa.Table, dict[str, TickerCoverage]]:
    """Return those of `wanted` that gold of the same inputs holds and the plan keeps, or has published itself."""

    def see(file: PartitionFile) -> tuple[pa.Table, dict[str, TickerCoverage]]:
        same = file.manifest.inputs == plan.inputs
        found = {
            name: known
            for name, known in file.manifest.coverage.items()
            if same and name in wanted and (name in plan.kept or known.stage_id == plan.stage_id)
        }
        return (file.read(CHAIN.names).cast(CHAIN) if found else CHAIN.empty_table()), found

    return lake.look(paths.partition("chain", plan.session), see) or (CHAIN.empty_table(), {})
