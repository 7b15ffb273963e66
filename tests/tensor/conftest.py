"""What the tests of this folder share. They are about the meaning of tensors, so NumPy computes: it needs
no time for each new shape. A test that wants the compiler sets the variable itself."""

import pytest
from hypothesis import settings

# No deadline: the first example of a test may have to compile, and machines are shared.
settings.register_profile("tensor", deadline=None)
settings.load_profile("tensor")


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    monkeypatch.setenv("PELLUCID_ENGINE", "reference")
