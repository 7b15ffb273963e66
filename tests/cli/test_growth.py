"""`pellucid curve`: a table, a picture and a sentence; more rows help where there is more to learn from them."""

import json

import numpy as np
from commands import document, refused, told_by
from PIL import Image

from pellucid.cli.main import run as command

FEW = ["--net", "8", "--epochs", "6", "--repeats", "2", "--quiet"]


def write(path, x, y):
    names = [f"c{i}" for i in range(x.shape[1])]
    lines = [",".join([*names, "y"])]
    lines += [",".join([*(f"{v:.4f}" for v in row), str(c)]) for row, c in zip(x, y, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_many_kinds_need_many_rows(tmp_path, capsys):
    """Sixty kinds, each of which is up or down: what a kind is can only be known of those that were seen."""
    rng = np.random.default_rng(1)
    is_up, kinds = rng.permutation(60) < 30, rng.integers(0, 60, 500)
    path = tmp_path / "kinds.csv"
    rows = [
        f"k{k},{'up' if is_up[k] else 'down'},{v:.3f}"
        for k, v in zip(kinds, rng.normal(size=500), strict=True)
    ]
    path.write_text("kind,y,noise\n" + "\n".join(rows) + "\n")
    picture = tmp_path / "made" / "curve.png"
    few = ["--net", "64", "--epochs", "30", "--repeats", "3", "--quiet"]
    found = document(capsys, "curve", path, "--target", "y", *few, "--out", picture)
    means = [p["mean"] for p in found["points"]]
    assert found["score"] == "accuracy" and found["more_data_would"] == "help"
    assert means[-1] > means[0] + 0.1
    assert found["each_doubling"]["low"] > 0
    assert found["sentence"].startswith("More data would likely help: from ")
    gain = found["each_doubling"]
    figures = [f"{100 * gain[k]:+.2g}" for k in ("gain", "low", "high")]
    assert (
        "changed the accuracy by {} points (95 %: {} to {})".format(*figures) in found["sentence"]
    )
    with Image.open(picture) as image:
        assert image.size == (960, 640)


def test_one_input_needs_few_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 2))
    write(tmp_path / "easy.csv", x, np.where(x[:, 0] + rng.normal(size=300) > 0, "up", "down"))
    out = told_by(capsys, "curve", "easy.csv", "--target", "y", *FEW).out
    assert "More data would likely help" not in out
    rows = [line.split() for line in out.splitlines()[1:6]]
    assert [r[1] for r in rows] == ["10", "20", "40", "70", "100"] and rows[-1][0] == "195"
    assert (tmp_path / "easy-curve.png").exists()


def test_the_curve_never_replaces_its_data(tmp_path, capsys):
    path = write(tmp_path / "p.csv", np.arange(60.0)[:, None], ["a", "b"] * 30)
    before = path.read_bytes()
    code, err = refused(capsys, "curve", path, "--target", "y", *FEW, "--out", path)
    assert code == 2 and "p.csv is what is learned from" in err
    assert path.read_bytes() == before


def test_amounts_are_judged_in_their_unit(tmp_path, capsys):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(120, 2))
    path = write(tmp_path / "p.csv", x, np.round(1000 * x[:, 0] + 100 * rng.normal(size=120), 2))
    few = ["--net", "64", "--epochs", "80", "--repeats", "1", "--quiet", "--json"]
    picture = tmp_path / "p.png"
    found = json.loads(told_by(capsys, "curve", path, "--target", "y", *few, "--out", picture).out)
    assert found["score"] == "RMSE" and len(found["points"]) == 5
    gain = found["each_doubling"]  # a gain is a fall of the RMSE
    # Two digits, and all before the point.
    assert 10 < abs(gain["gain"]) < 1000 and 10 < abs(gain["high"]) < 1000
    assert f"by {-gain['gain']:+.0f} (95 %: {-gain['high']:+.0f} to" in found["sentence"]
    best = min(p["mean"] for p in found["points"])
    assert 50 < best < 700  # the noise has a deviation of 100, the amounts one of 1,000


def test_a_series_is_refused_in_a_sentence(capsys):
    assert command(["curve", "series"]) == 2
    assert "rows do not stand alone" in capsys.readouterr().err
