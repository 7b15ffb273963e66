"""Floor 1: what is to be computed, and what it means."""
