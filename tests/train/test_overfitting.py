"""From which epoch on a network only learned by heart; and that command and report say so."""

import json

import numpy as np
import pytest

from pellucid.cli.main import run as command
from pellucid.cli.results import report
from pellucid.train.diagnose import overfitting_since
from pellucid.train.events import Finished
from pellucid.train.report import page

EPOCHS = np.arange(1, 31)
FALLING = 1 / EPOCHS


def curve(seed: int, turn: int, rise: float, noise: float) -> np.ndarray:
    """A validation loss that falls to 0.5 at epoch `turn`, then rises by `rise` an epoch."""
    base = 0.5 + np.maximum(0, turn - EPOCHS) * 0.05 + np.maximum(0, EPOCHS - turn) * rise
    return base + noise * np.random.default_rng(seed).normal(size=len(EPOCHS))


def test_it_begins_after_the_best_epoch():
    assert overfitting_since(FALLING, curve(0, 11, 0.02, 0.0)) == 12
    found = [overfitting_since(FALLING, curve(seed, 11, 0.03, 0.01)) for seed in range(20)]
    assert all(since is not None and abs(since - 12) <= 2 for since in found)


def test_a_plateau_is_none_however_it_shakes():
    for noise in (0.0, 0.001, 0.02):
        found = [overfitting_since(FALLING, curve(seed, 8, 0.0, noise)) for seed in range(200)]
        # 2.5 deviations of a difference: by chance 1 of 160, and more as it is an estimate.
        assert sum(since is not None for since in found) <= 8


@pytest.mark.parametrize(
    "training, validation",
    [
        (FALLING, FALLING),  # both fall
        (1 + EPOCHS / 10, curve(0, 11, 0.02, 0.0)),  # both rise: the rate is too high
        (FALLING[:3], [0.5, 0.6, 0.7]),  # too few epochs
        (FALLING, [np.nan] * 30),
        ([], []),
    ],
    ids=["falls", "rises", "few", "nan", "none"],
)
def test_other_curves_are_none(training, validation):
    assert overfitting_since(training, validation) is None


def test_command_and_report_say_it(tmp_path, capsys):
    # Noise: nothing can be learned of it but by heart.
    rng = np.random.default_rng(2)
    rows = [
        ",".join(f"{v:.3f}" for v in r[:8]) + (",yes" if r[8] > 0 else ",no")
        for r in rng.normal(size=(300, 9))
    ]
    path = tmp_path / "noise.csv"
    path.write_text("\n".join([",".join("abcdefghy"), *rows]) + "\n")
    words = ["train", str(path), "--target", "y", "--patience", "15"]
    assert command([*words, "--dropout", "0", "--l2", "0", "--out", str(tmp_path / "r")]) == 0
    told = capsys.readouterr()
    result = json.loads((tmp_path / "r" / "metrics.json").read_text())
    since = result["overfitting_since"]
    assert 2 <= since <= result["epochs"] - 2
    assert f"Overfitting since epoch {since}" in told.out
    last = told.out.splitlines()[-1]
    assert "(early stopping)" in last and f"the weights of epoch {result['best_epoch']} are" in last
    assert "Done: early stopping" in told.err
    html = (tmp_path / "r" / "report.html").read_text()
    assert f"Overfitting since epoch {since}" in html and 'class="band s1"' in html
    # Without a validation nothing is shaded, and nothing is said.
    alone = [{**row, "validation": None} for row in result["history"]]
    quiet = {**result, "overfitting_since": None}
    assert "band s1" not in page(quiet, alone) and "Overfitting" not in page(quiet, alone)
    assert "Overfitting" not in report(Finished("r", quiet))
