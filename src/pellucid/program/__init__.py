"""Floor 2: the record that compiler and runtime share."""
