"""The doctor: tells what will and will not work here, before a first run fails on it.

Each room asks for the facts of one part and judges them: `vendor`, `entitlement`, `plan`, `lake`, `cost`, `airflow`,
`ledger`, `schedule`; `examination` goes through all of them. Judging is apart from asking, so that every verdict can be
tried with facts alone. Nothing is changed but a probe in the lake, which is removed again.
"""
