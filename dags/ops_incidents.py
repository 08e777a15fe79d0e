"""### Incidents: what is wrong, told once, and told again when it is over

Runs every five minutes, for a second or two. An incident is one dataset of one session with one cause; failed runs and
the daily look back open them. `sweep` does what must not keep them waiting:

- notes which incidents are over: the dataset is published whole since, or the runs that met it are green. It does not
  matter who mended it: a cleared run, a backfill, `ops_recover`, an approval of drift, the command line;
- notes which sessions should be published by now and are not, by the exchange's calendar: their run waits, hangs, or
  was never created. Paused DAGs are nobody's concern;
- tells of that, and of what was held back: by quiet hours, or since many incidents came at once;
- tries again with sinks that did not take a message;
- publishes the dataset `incidents` of the sessions concerned.

Its XCom says how much of each. **Leave it unpaused:** the first word of a failure comes without it, all others wait.

`bellwether incidents list` shows what is open, and why something is not told; `bellwether incidents snooze` has
nothing told for a while, with a reason and an end. `docs/alerts.md` tells the rest.

**`sweep` failed:** the lake could not be read or written; its log says where. Nothing is lost, the next run goes on.
"""

from bellwether_airflow.incidents import incidents_dag

dag = incidents_dag("ops_incidents", doc_md=__doc__)
