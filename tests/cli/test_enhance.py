"""Pictures without faults: a network learns to mend them, and mends pictures of any size."""

import json
import math
import shutil

import numpy as np
import pytest
from commands import refused, told_by

from pellucid.cli import main as command
from pellucid.tensor.tensor import Tensor
from pellucid.train.saved import load_model

Image = pytest.importorskip("PIL.Image")
Draw = pytest.importorskip("PIL.ImageDraw")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """30 pictures of sharp shapes, of several sizes, two of them equal."""
    root, rng = tmp_path_factory.mktemp("scenes") / "scenes", np.random.default_rng(2)
    root.mkdir()
    for i in range(30):
        width, height = rng.integers(40, 70, 2).tolist()
        picture = Image.new("RGB", (width, height), tuple(rng.integers(0, 255, 3).tolist()))
        shapes = Draw.Draw(picture)
        for _ in range(12):
            x, y = sorted(rng.integers(0, width, 2)), sorted(rng.integers(0, height, 2))
            colour = tuple(rng.integers(0, 255, 3).tolist())
            draw = shapes.ellipse if rng.random() < 0.5 else shapes.rectangle
            draw([x[0], y[0], x[1], y[1]], fill=colour)
        picture.save(root / f"{i:02}.png")
    (root / "29.png").write_bytes((root / "28.png").read_bytes())
    return root


@pytest.fixture(scope="module", params=["small", "noise"])
def mender(request, scenes, tmp_path_factory):
    """(fault, run, result) of a network that learned to mend the fault."""
    run = tmp_path_factory.mktemp("mender") / "run"
    options = ["--task", "enhance", "--fault", request.param, "--epochs", 3, "--width", 16]
    options += ["--layers", 3, "--lr", 0.004, "--quiet", "--out", run]
    assert command.run([str(a) for a in ("train", scenes, *options)]) == 0
    return request.param, run, json.loads((run / "metrics.json").read_text())


def test_mended_pictures_are_nearer_to_the_truth_than_without_a_network(mender, capsys):
    _, run, result = mender
    ours = result["enhanced"]["psnr"]
    assert ours > result["baseline"]["bicubic"]["psnr"] + 0.2
    assert ours > result["baseline"]["nothing"]["psnr"] + 0.2
    assert "bicubic interpolation" in (run / "report.html").read_text()
    assert f"PSNR {ours:.4g}" in told_by(capsys, "runs", "--in", run.parent).out


def test_a_sheet_shows_patches_with_the_fault_mended_and_without(mender, scenes):
    from pellucid.train.recipe import recipe

    _, run, result = mender
    sheets = sorted((run / "samples").glob("epoch-*.png"))
    assert len(sheets) == result["epochs"]
    assert "three by three" in (run / "report.html").read_text()
    data = recipe(**load_model(run).settings).dataset()
    with Image.open(sheets[-1]) as picture:
        drawn = np.asarray(picture)
    assert drawn.shape == (4 * 34 + 2, 6 * 34 + 2, 3)  # 8 times three patches of 32, and gaps of 2
    clean = drawn[2:34, 70:102]  # the third: one of the patches, as it was
    (row,) = np.flatnonzero((data.clean == clean).all((1, 2, 3)))
    given, mended = drawn[2:34, 2:34], drawn[2:34, 36:68]
    assert (given == data.given[row]).all()
    error = [np.square(p.astype(float) - clean).mean() for p in (given, mended)]
    assert error[1] < error[0]


def test_a_picture_of_any_size_is_mended_as_by_the_network_at_once(
    mender, scenes, tmp_path, capsys
):
    """In windows: pixel by pixel what the network gives for the whole picture, computed by NumPy."""
    fault, run, _ = mender
    rng, model = np.random.default_rng(5), load_model(run)
    pixels = rng.integers(0, 255, (19, 300, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    out = tmp_path / "better.png"
    told = json.loads(
        told_by(capsys, "enhance", run, tmp_path / "wide.png", "--out", out, "--json").out
    )
    k = 2 if fault == "small" else 1
    assert (told["height"], told["width"]) == (19 * k, 300 * k)
    given = np.asarray(Image.fromarray(pixels).resize((300 * k, 19 * k), Image.Resampling.BICUBIC))
    whole = model.network(Tensor(given[None].astype(np.float32) / 255)).numpy()[0]
    better = np.clip(np.rint(whole * 255), 0, 255)
    # Another order of sums may move a number across .5.
    assert np.abs(np.asarray(Image.open(out), float) - better).max() <= 1


def test_a_grey_picture_stays_grey(mender, scenes, tmp_path, capsys):
    fault, run, _ = mender
    Image.open(scenes / "03.png").convert("L").save(tmp_path / "grey.png")
    out = tmp_path / "grey-better.webp"
    told_by(capsys, "enhance", run, tmp_path / "grey.png", "--out", out)
    with Image.open(out) as mended, Image.open(tmp_path / "grey.png") as grey:
        k = 2 if fault == "small" else 1
        assert mended.size == (grey.width * k, grey.height * k)
        channels = np.asarray(mended.convert("RGB")).astype(int)
        assert np.ptp(channels, axis=2).max() <= 2  # webp has no grey; its colours round


def test_what_becomes_of_transparent_places_is_said(mender, tmp_path, capsys):
    _, run, _ = mender
    Image.new("RGBA", (20, 20), (9, 9, 9, 0)).save(tmp_path / "clear.png")
    out = tmp_path / "better.png"
    said = told_by(capsys, "enhance", run, tmp_path / "clear.png", "--out", out)
    assert "what is transparent shows grey 255" in said.err
    with Image.open(out) as picture:
        assert np.asarray(picture).mean() > 240  # white paper


def test_equal_pictures_are_in_one_part(scenes):
    from pellucid.data.patches import read_patches, split_patches

    data = read_patches(scenes, "small")
    assert data.n_pictures == 29  # 30 files, two of them equal
    for seed in range(5):
        parts = split_patches(data, 0.15, 0.2, seed)
        of = [set(data.picture[p].tolist()) for p in (parts.train, parts.validation, parts.test)]
        assert sum(map(len, of)) == 29 and len(set.union(*of)) == 29
        assert [len(p) for p in of] == [29 - 4 - 6, 4, 6]
    # What is given is the picture halved and doubled by Pillow, cut at the same place.
    whole = Image.open(scenes / "28.png")
    even = whole.crop((0, 0, whole.width // 2 * 2, whole.height // 2 * 2))
    half = even.resize((even.width // 2, even.height // 2), Image.Resampling.BICUBIC)
    worse = np.asarray(half.resize(even.size, Image.Resampling.BICUBIC))
    rows = np.flatnonzero(data.picture == 28)
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(even), (32, 32, 3))[::2, ::2, 0]
    for row in rows[:: len(rows) // 4]:
        y, x = np.argwhere((windows == data.clean[row]).all((2, 3, 4)))[0] * 2
        assert (worse[y : y + 32, x : x + 32] == data.given[row]).all()


def test_psnr_is_that_of_the_formula():
    from pellucid.train.measure import psnr

    truth = np.zeros((3, 2, 2, 1), np.uint8)
    found = truth + np.array([5, 15, 51]).reshape(3, 1, 1, 1)
    # Pictures 0 and 1: mean squares (25 + 225) / 2 = 125 and 51^2; 20 log10(255 / 51) = 13.979.
    by_hand = (10 * math.log10(255**2 / 125) + 13.97940008672) / 2
    assert psnr(found, truth, np.array([0, 0, 1])) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "FOLDER", "--task", "enhance", "--size", "16", "--dry-run"], 2, "--size is no"),
        (["train", "FOLDER", "--task", "enhance", "--fault", "noize", "--dry-run"], 2, "noise"),
        (["enhance", "RUN", "none.png"], 1, "none.png: there is no such file"),
        (["enhance", "RUN", "FILE", "--out", "x.gif"], 2, "x.gif"),
        (["predict", "RUN", "FILE"], 2, "pellucid enhance"),
        (["enhance", "FOLDER", "FILE"], 1, "no model.json"),
    ],
)
def test_what_cannot_be_mended_is_said(arguments, code, words, mender, scenes, capsys):
    places = {"RUN": mender[1], "FOLDER": scenes, "FILE": scenes / "00.png"}
    got, err = refused(capsys, *(places.get(a, a) for a in arguments))
    assert got == code and words in err


def test_small_and_damaged_pictures_are_left_out_and_named(scenes, tmp_path, capsys):
    folder = tmp_path / "some"
    shutil.copytree(scenes, folder)
    Image.new("RGB", (5, 40)).save(folder / "icon.png")
    (folder / "cut.png").write_bytes((folder / "00.png").read_bytes()[:90])
    plan = ["train", folder, "--task", "enhance", "--dry-run"]
    said = " ".join(told_by(capsys, *plan).err.split())
    assert "1 picture is smaller than 32 pixels: left out, as icon.png" in said
    assert "1 picture left out that cannot be read: cut.png: the file is cut" in said
    assert "29 different pictures" in said and "19 to learn, 4 to validate, 6 to test" in said
    code, err = refused(capsys, *plan, "--strict")
    assert code == 1 and "1 of 32 pictures cannot be read: cut.png" in err
    for file in sorted(folder.iterdir())[4:]:
        file.unlink()
    code, err = refused(capsys, *plan)
    assert code == 1 and "4 pictures of 32 pixels a side or more are too few" in err


def test_the_better_picture_never_replaces_the_one_that_is_mended(mender, scenes, tmp_path, capsys):
    _, run, _ = mender
    file = tmp_path / "a.png"
    file.write_bytes((scenes / "00.png").read_bytes())
    code, err = refused(capsys, "enhance", run, file, "--out", file)
    assert code == 2 and "a.png is what is mended" in err
    assert file.read_bytes() == (scenes / "00.png").read_bytes()
