"""Gold: a session's minutes and chains, built from what is published of it.

`inputs`, `readiness`, `build`, `pinned`, `handover` and `judge` know the lake; the others compute tables from tables.
"""
