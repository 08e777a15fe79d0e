"""Schema drift: what the vendor sends beside what its contract says, who lets a change pass, and what follows.

change     what may differ, and what accepting it does to a contract
shape      one answer's rows against the contract: names, types, words, units of time
reader     reads answers by the contracts, on the way from the vendor and out of raw files alike
values     a session's values against those of the trailing sessions: nulls, units, medians
judging    the same with the lake: statistics kept, history found, rows held back
ledger     what was found and decided, and the contracts in force, in the lake
approval   accepting a change: the next version, and the sessions that wait for it replayed
report     the dataset `drift`, and the digest for people
"""
