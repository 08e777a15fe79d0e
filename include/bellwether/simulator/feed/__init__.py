"""The vendor's WebSocket clusters: what is broadcast of a market as its clock moves on, and how that goes wrong.

Pure rooms decide what is said (`topics`, `events`, `broadcasts`, `prints`, `quotes`, `replay`, `session`, `faults`,
`outbox`); `connection`, `conductor` and `feed` do it, in the event loop of the simulator's server.
"""
