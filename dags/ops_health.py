"""### Health: how fresh and complete the last sessions are, and gold that nobody was told to build

Looks back on the last 20 sessions two hours after extended hours end, on every session, when all sources are due.

`look` writes a summary to its log and its XCom `summary`: of every dataset the newest session, how many sessions it is
behind, how many are complete; what lacks, stands still or got slow; and what the tasks of the session cost and met.
The same of datasets, row by row, is published as
`ops/health/session=YYYY-MM-DD/health.parquet` (`bellwether.lake.read("health", ...)`).

Sessions whose inputs are complete but whose gold is missing or stale are announced to `session_consolidate`. That
happens when announcements were lost: it was paused, Airflow's database was reset, inputs came by `bellwether backfill`.

What is unhealthy and no incident tells of, like a session whose run was never created, becomes one (`docs/alerts.md`).

`drift` tells what the vendor sent otherwise than promised (XCom `digest`, dataset `drift`); `ask` starts a run of
`ops_drift` for each change that holds sessions back until somebody decides.

`performance` publishes what tasks told of themselves since the last look, as the datasets `performance` and `errors`
(docs/monitoring.md).

**After a long pause.** Unpause `session_consolidate` first, then trigger this with as many *Sessions* as needed: until
the session given as *Partition Key*, or the last completed one.
"""

from bellwether_airflow.health import health_check

dag = health_check("ops_health", doc_md=__doc__)
