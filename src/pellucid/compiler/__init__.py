"""Floor 3: graph -> Program. Passes in build.py, the kernel forms in kernel.py."""
