"""For every test: SciPy reads this once, when it is imported, and without it scikit-learn skips some of its checks."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")
