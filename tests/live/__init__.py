"""Checks that need a real key: `make test-live`. No test tier, and never part of CI."""
