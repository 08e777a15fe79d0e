"""Gold of a session built again from the published inputs that its manifest names, beside the lake's own stages."""

import secrets

import pyarrow as pa

from bellwether.config import Config
from bellwether.consolidate.build import build_chain_of, build_minutes_of
from bellwether.consolidate.handover import GoldPlan, chain_of, minutes_stage, remove_stages
from bellwether.consolidate.inputs import RECORDER
from bellwether.errors import InputsChanged
from bellwether.lake import Lake, Manifest
from bellwether.verify.outcome import Unverifiable


def rebuild(lake: Lake, config: Config, manifests: dict[str, Manifest]) -> dict[str, pa.Table]:
    """Return the rows that the gold of a session should have, by dataset.

    Parameters
    ----------
    manifests
        Of both gold datasets of the session, as far as they are published.

    Raises
    ------
    Unverifiable
        It is provisional, a part of it is of other inputs, or what it was built from is not in force any more.
    LakeError
        An input is damaged, or the storage refused.
    """
    minutes, chain = manifests.get(RECORDER), manifests.get("chain")
    if minutes is None or chain is None or minutes.inputs != chain.inputs:
        msg = "its two datasets are not of the same inputs: it is being built, or was interrupted"
        raise Unverifiable(msg)
    if minutes.is_provisional:
        msg = "it is provisional: built from streams, and built anew when the daily pulls land"
        raise Unverifiable(msg)
    stage_id = f"verify-{secrets.token_hex(4)}"
    plan = GoldPlan(minutes.session, stage_id, minutes.inputs, tuple(sorted(chain.coverage)))
    try:
        for underlying in plan.underlyings:
            build_chain_of(lake, config, plan, underlying)
        build_minutes_of(lake, config, plan)
        staged = minutes_stage(lake, plan).read_batch(0)
        if staged is None:
            msg = "what was built was deleted meanwhile"
            raise Unverifiable(msg)
        return {RECORDER: staged[0], "chain": chain_of(lake, config, plan)[0]}
    except InputsChanged as error:
        msg = f"{error}: it is to be built anew from other inputs"
        raise Unverifiable(msg) from error
    finally:
        remove_stages(lake, plan)
