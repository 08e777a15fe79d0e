"""What people are told of runs: facts in, words out. Knows errors and the configuration; sends nothing."""
