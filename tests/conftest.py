"""For every test: what libraries read once, when they are imported."""

import os

# Without it scikit-learn skips some of its checks.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Threads of OpenMP, which scikit-learn uses, spin while they wait: two processes on two cores take 20 times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
