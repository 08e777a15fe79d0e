"""Gold: a session's minutes and chains, built from what is published of it.

`inputs`, `streamed`, `readiness`, `build`, `intraday`, `pinned`, `terms`, `handover` and `judge` know the lake; the
others compute tables from tables.
"""
