"""Drills: a stream is broken on purpose, beside everything real, to see that it heals and that people are told.

A simulator and a recorder are started as processes that end with the drill, and a lake that is thrown away.
"""
