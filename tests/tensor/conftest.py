"""What the tests of this folder share. They are about the meaning of tensors, so NumPy computes: it needs
no time for each new shape. A test that wants the compiler sets the variable itself."""

import pytest


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    monkeypatch.setenv("PELLUCID_ENGINE", "reference")
