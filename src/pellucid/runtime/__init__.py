"""Floor 3: a Program becomes numbers: buffers, machine code, the thread team, the walk."""
