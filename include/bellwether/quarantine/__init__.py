"""Quarantine one can work in: which rows were refused (`standing`), and deciding about them (`release`).

    identity -> kept -> decisions -> standing -> validity -> release -> audit
                             `-> respect, which captures, replays and verification ask
                                      standing, validity -> held: valid rows that are not published

A decision is a file of its own that is written before its effect and never replaced, so that whoever captures or
replays the session afterwards comes to the same rows. This room asks no vendor.
"""
