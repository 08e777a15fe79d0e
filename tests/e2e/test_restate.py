"""A night on a real Airflow: a session fetched again by a run of its own DAG, and what the vendor says otherwise."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.config import SinkSettings
from bellwether.lake import Lake, read
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.schemas import EQUITIES
from tests.builders import submission
from tests.e2e.support import PRODUCER, UNIVERSE, Producers

RESTATE = "ops_restate"
SESSION, NIGHT = date(2025, 5, 8), date(2025, 5, 9)

pytestmark = pytest.mark.timeout(300)


def test_what_the_vendor_restated_by_the_next_night_is_published_and_told_bar_by_bar(operated: Producers) -> None:
    assert operated.trigger(str(SESSION)).state == "success"
    served = read("equities", SESSION, SESSION, root=operated.lake_root)
    # As the vendor had it on the day itself: one bar a little lower.
    rows = served.to_pylist()
    rows[0]["close"] = rows[0]["low"]
    by_ticker = pa.Table.from_pylist(rows, EQUITIES)
    tables = [by_ticker.filter(pc.equal(by_ticker["ticker"], ticker)) for ticker in UNIVERSE]
    lake = Lake.open(operated.lake_root, simulated=True)
    publish(lake, submission(*tables, session=SESSION, stage_id="then"), FileLayout(SinkSettings(), "snappy"))

    operated.api.wait_for_dags([RESTATE])
    operated.api.set_paused(RESTATE, paused=False)
    night = operated.api.trigger(RESTATE, str(NIGHT))
    assert operated.api.wait_for_run(RESTATE, night.dag_run_id).state == "success"
    pulled = operated.api.run(PRODUCER, f"restate__{SESSION}__t1__{NIGHT}")
    assert (pulled.partition_key, pulled.state) == (str(SESSION), "success")
    assert read("equities", SESSION, SESSION, root=operated.lake_root).equals(served)
    told = read("restatements", SESSION, SESSION, root=operated.lake_root).to_pylist()
    assert [(row["ticker"], row["ts"], row["kind"], row["sessions_later"]) for row in told] == [
        (rows[0]["ticker"], rows[0]["ts"], "changed", 1)
    ]
