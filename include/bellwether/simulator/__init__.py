"""A vendor on loopback: serves generated markets or an archive in Polygon's wire format, and misbehaves on command.

The simulator never imports the library's transports: it must prove them, not share their mistakes.
"""
