"""### Recover sessions: many at once, by what the ledger says of them

Trigger it by hand. It reads the ledger over a range of sessions, shows a plan, and with *Dry run* off runs those
sessions again that need it, through backfills and clears of their own DAGs.

1. **Trigger with *Dry run* on,** as it is unless changed. The plan stands in the run's note, whole in the log of `plan`
   and in its XCom `page`: sessions, API calls, time at the plan's rate limit, whose gold is built again, what is left
   out.
2. **Trigger with the same form and *Dry run* off.** Of a session whose run failed, the failed tasks are cleared with
   all that follows them; any other gets a new run by a backfill. The runs are ordinary ones of their DAG.

| mode | sessions | fetched |
| --- | --- | --- |
| `missing` | with tickers that were never fetched | what the ledger does not call complete |
| `failed` | with tickers that could not be fetched | the same |
| `revised` | whose gold is not of the inputs that stand now, or not there | nothing that is complete |
| `quarantined` | with rows in quarantine | those tickers, complete or not |
| `force` | all | every ticker |

**Rows in quarantine** (*Action* `release` or `discard`): the dry run lists those that wait, of the datasets and
sessions given, and says which could not be released. Name them by id, or leave *Rows in quarantine* empty for all that
are listed; a *Reason* is needed. `settle` writes the decision down and publishes what is released, without a request; a
row that is still invalid is refused, and then nothing changes. Sessions whose gold has to follow are announced.
`all_settled` fails where something came in between, and names what was left out (`docs/quarantine.md`).

A session that is `revised` is announced to consolidation, which builds its gold anew.

**To stop it,** mark the run or its `recover` task as failed: the open backfill is cancelled, runs under way go on to
their end. In the first seconds after it was opened Airflow may miss that: the backfill goes on, and its banner on the
page of its DAG offers to cancel it. **To go on,** clear `recover`, or trigger anew: what is done is not done again.

**`recover` failed.** Its message names the sessions that failed again; their own runs say why. Mend that, then clear
it. A DAG that is paused is not recovered: unpause it first.

**It waits for another backfill.** Airflow allows one open backfill for each DAG; it goes on by itself.

**Option chains before the close** (`options_snapshot`) cannot be had later: the plan names them as lost.

It needs the Connection `airflow_api` (type HTTP): Airflow's own address and a user who may edit runs and backfills
(`docs/operations.md`). A dry run does without. One DAG is recovered at a time, by the pool `recovery`.
"""

from bellwether_airflow.recovery import recovery_dag

dag = recovery_dag("ops_recover", doc_md=__doc__)
