"""Verification: published partitions built again from what proves them, and compared to the byte.

    sample -> captured (from raw), gold (from clean) -> compare -> report

Nothing that is published is written here: what is built again is thrown away.
"""
