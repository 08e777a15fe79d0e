"""The points of a connection's protocol at which faults strike, and which fault may strike where."""

CONNECTED, AUTH, AUTHENTICATED, SUBSCRIBE, FRAME = "connected", "auth", "authenticated", "subscribe", "frame"

_ANYWHERE = (FRAME, CONNECTED, AUTH, AUTHENTICATED, SUBSCRIBE)

FEED_FAULTS = {
    "abort": _ANYWHERE,
    "close": _ANYWHERE,
    "mute": _ANYWHERE,
    "stall": _ANYWHERE,
    "garbage": _ANYWHERE,
    "auth_failed": (AUTH,),
    "late_auth": (AUTH,),
    "max_connections": (AUTHENTICATED, SUBSCRIBE, FRAME),
    "duplicate": (FRAME,),
    "reorder": (FRAME,),
    "cut_frame": (FRAME,),
    "torn_frame": (FRAME,),
    "huge_frame": (FRAME,),
}
"""Kinds of faults of a stream, and the points at which each may strike: the first unless a switch names another.

A point is an answer of the server about to be sent: its greeting (`connected`), the answer to the key (`auth`), what
follows that answer (`authenticated`), the answer to a subscription, a frame of data.

`abort` resets the TCP connection instead; `close` closes it with a code instead; `mute` sends nothing from then on, but
answers pings; `stall` neither reads nor sends for `pause_s` of simulated time, then goes on with all that has queued
up; `garbage` sends a text that is no JSON before; `auth_failed` refuses the key; `late_auth` answers it `pause_s` of
simulated time later; `max_connections` says so and closes with 1008; `duplicate` sends the frame twice, `reorder` after
the next one; `cut_frame` sends half of its text, `torn_frame` half of its bytes before the connection is reset;
`huge_frame` pads it to 2 MiB.
"""

CLOSE_CODES = (1000, 1001, 1008, 1011)
"""What `close` may close with."""

FEED_TRANSIENT = ("abort", "close", "duplicate", "garbage", "huge_frame", "mute", "reorder", "stall", "torn_frame")
"""What chance draws from for streams unless told otherwise: what a client can see and a reconnect heals."""
