"""### Drill: break a stream on purpose, and see that it heals and that people are told

Trigger it by hand. It starts a simulator that replays a session, records it, and breaks one thing after another: what
the form's *Faults* names. Then gaps are repaired and every minute is compared with REST. With the form as it comes it
takes less than a minute. Nothing real is touched: the lake it records to is thrown away, and its processes end with the
task, also when it is cleared or marked.

The report stands in the log of `play` and in its XCom `report`: of each fault which gap told of it, after how long all
was well again, how many minutes were missed and filled, what was lost or doubled (nothing), and who was told.

| fault | what is to come of it |
| --- | --- |
| `abort`, `close ...`, `mute`, `stall`, `torn_frame`, `late_auth`, `max_connections` | a gap; nobody is told |
| `garbage`, `cut_frame` | a gap `unreadable`; nobody is told |
| `duplicate`, `reorder`, `huge_frame` | nothing |
| `kill recorder`, `stop recorder` | a gap; the next try goes on |
| `outage`, `disk full` | one message, `stalled`; of the full disk no gap |
| `auth_failed`, `wrong key` | one message, `StreamRefused`, after one connection |

**To rehearse an alert,** choose `outage`, `disk full` or `wrong key` with *Send alerts* on: it goes to the Connection
`alerts` as a real one would, its subject begins with `[drill]`. Mutes of `alerts.yaml` hold for this DAG's own id.

**It failed.** Its message says what: something was lost or doubled, did not recover, was not told of, or a sink did not
take the message. *The session was over*: at a lower speed there is time for it.

`bellwether drill` does the same from a shell, and shows messages instead of sending them.
"""

from bellwether_airflow.drill import drill_dag

dag = drill_dag("ops_drill", doc_md=__doc__)
