"""Floor 0: dtypes, errors and facts about the machine. Imports nothing of ours."""
