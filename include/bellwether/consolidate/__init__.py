"""Gold: the session's minutes and chains, computed from published tables; asks nobody, opens no file."""
