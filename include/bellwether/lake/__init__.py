"""The lake: staged, published and replaced data on disk.

`Lake` opens one, `read` and `scan` are what users call; `publish` is the only way rows become visible.
"""

from bellwether.lake.lake import Lake
from bellwether.lake.manifest import Coverage, Manifest, TickerCoverage, Universe
from bellwether.lake.read import read
from bellwether.lake.scan import scan

__all__ = ["Coverage", "Lake", "Manifest", "TickerCoverage", "Universe", "read", "scan"]
