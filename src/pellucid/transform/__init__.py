"""Floor 2: graph to graph: gradients and simplification."""
