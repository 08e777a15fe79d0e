"""The names of what a drill can do, for forms; what each does is in `faults`. Read when DAG files are parsed."""

NAMES = (
    "abort",
    *("close 1000", "close 1001", "close 1008", "close 1011"),
    *("mute", "stall"),
    *("duplicate", "reorder", "huge_frame"),
    *("garbage", "cut_frame", "torn_frame"),
    *("late_auth", "max_connections", "auth_failed", "outage"),
    *("kill recorder", "stop recorder", "disk full", "wrong key"),
)

DEFAULT = ("abort", "mute", "garbage", "kill recorder", "outage")
"""What is played unless people choose: the ways to break, and one alert."""
