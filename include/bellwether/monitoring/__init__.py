"""What people are told: of runs that failed, of the health of sessions, of what is at work. Facts in, words out.

Knows the lake, the ledger and the streams' leases; sends nothing.
"""
