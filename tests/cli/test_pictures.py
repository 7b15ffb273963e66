"""Pictures at the command line: tables that name them, options, answers, new pictures, better pictures."""

import csv
import io
import json
import re

import numpy as np
import pytest

from pellucid.cli import main as command
from pellucid.train.run import load_model

Image = pytest.importorskip("PIL.Image")
Draw = pytest.importorskip("PIL.ImageDraw")

SMALL = ["--epochs", "1", "--width", "4", "--batch", "16", "--quiet"]
SUFFIXES = ("png", "jpg", "bmp", "gif")


def told_by(capsys, *arguments):
    """(standard output, standard error) of a command that succeeds."""
    capsys.readouterr()
    assert command.run([str(a) for a in arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr()


def refused(capsys, *arguments):
    """(exit code, what is said) of a command that does not: one sentence, no traceback."""
    capsys.readouterr()
    code = command.run([str(a) for a in arguments])
    err = capsys.readouterr().err
    assert code and "Traceback" not in err
    return code, err


def drawn(kind, rng, sides=(18, 30)):
    """A dark disc or square of any place on a light ground, of any size within `sides`."""
    width, height = rng.integers(*sides, 2).tolist()
    picture = Image.new("RGB", (width, height), tuple(rng.integers(180, 255, 3).tolist()))
    r = int(rng.integers(4, 7))
    x, y = int(rng.integers(r, width - r)), int(rng.integers(r, height - r))
    shape = Draw.Draw(picture)
    draw = shape.ellipse if kind == "disc" else shape.rectangle
    draw([x - r, y - r, x + r, y + r], fill=tuple(rng.integers(0, 90, 3).tolist()))
    return picture, r


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """disc/0.png, disc/1.jpg ... and square/..., and labels.csv with a row for each of them."""
    root, rng, rows = tmp_path_factory.mktemp("pictures") / "shapes", np.random.default_rng(0), []
    for kind in ("disc", "square"):
        (root / kind).mkdir(parents=True)
        for i in range(24):
            name = f"{kind}/{i}.{SUFFIXES[i % 4]}"
            picture, r = drawn(kind, rng)
            picture.save(root / name)
            rows.append((name, kind, r + i / 100, f"note {i % 3}"))
    write_table(root / "labels.csv", rows)
    return root


def write_table(path, rows, names=("file", "kind", "radius", "note")):
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    return path


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def decided(err):
    """name -> value and reason, of the decisions on standard error."""
    whole = re.sub(r"\n +", " ", err.split("\n\n")[0])
    return dict(re.findall(r"(?m)^(\S+(?: \S+)*) {2,}(.*)", whole))


# Tables that name pictures


def test_a_table_of_paths_is_learned_and_asked_again(shapes, tmp_path, capsys):
    table, out = shapes / "labels.csv", tmp_path / "run"
    said = told_by(capsys, "train", table, "--target", "kind", *SMALL, "--out", out, "--json")
    result = json.loads(said.out)
    assert result["settings"]["kind"] == "picture_table" and result["classes"] == ["disc", "square"]
    assert result["metrics"]["train"]["n"] + result["metrics"]["validation"]["n"] < 48
    # The answers to the table are the answers to the files.
    answers = rows_of(told_by(capsys, "predict", out, table).out)
    assert [a["file"] for a in answers[:2]] == ["disc/0.png", "disc/1.jpg"] and len(answers) == 48
    alone = json.loads(told_by(capsys, "predict", out, shapes / "disc" / "1.jpg", "--json").out)
    chance = alone["predictions"][0]["probabilities"]["disc"]
    assert float(answers[1]["probability of disc"]) == pytest.approx(chance, abs=2e-6)
    # Right answers counted by hand.
    right = sum(a["kind"] == a["file"].split("/")[0] for a in answers)
    assert f"{right} of 48 right" in told_by(capsys, "predict", out, table).err
    scores = json.loads(told_by(capsys, "evaluate", out, table, "--json").out)["scores"]
    assert scores["n"] == 48 and scores["accuracy"] == pytest.approx(right / 48)


def test_the_plan_says_which_column_has_the_pictures(shapes, capsys):
    plan = ["--target", "kind", "--dry-run"]
    said = decided(told_by(capsys, "train", shapes / "labels.csv", *plan).err)
    assert said["pictures"].startswith("column file: most of its texts are paths")
    assert said["dropped"].startswith("radius, note: only the picture")
    assert said["task"].startswith("classify")
    named = [*plan, "--column", "file=picture"]
    said = decided(told_by(capsys, "train", shapes / "labels.csv", *named).err)
    assert said["pictures"].startswith("column file: as you said")


def test_a_column_of_paths_can_be_left_a_column(shapes, capsys):
    plan = ["--target", "kind", "--dry-run", "--column", "file=text"]
    assert "file" in decided(told_by(capsys, "train", shapes / "labels.csv", *plan).err)["texts"]


def test_amounts_are_learned_from_pictures(shapes, tmp_path, capsys):
    table, out = shapes / "labels.csv", tmp_path / "run"
    said = told_by(capsys, "train", table, "--target", "radius", *SMALL, "--out", out, "--json")
    result = json.loads(said.out)
    assert result["settings"]["task"] == "regress"
    # The unit is the table's own: what always answers the mean errs by the deviation of the held-out rows.
    assert 0.3 < result["baselines"]["mean"]["rmse"] < 1.5
    answers = rows_of(told_by(capsys, "predict", out, table).out)
    truth = np.array([float(r["radius"]) for r in rows_of(table.read_text())])
    errors = np.array([float(a["radius"]) for a in answers]) - truth
    scores = json.loads(told_by(capsys, "evaluate", out, table, "--json").out)["scores"]
    assert scores["rmse"] == pytest.approx(float(np.sqrt((errors**2).mean())), rel=1e-6)
    alone = rows_of(told_by(capsys, "predict", out, shapes / "disc" / "0.png").out)
    assert float(alone[0]["radius"]) == pytest.approx(float(answers[0]["radius"]), rel=1e-5)


def test_missing_and_damaged_files_are_named_and_counted(shapes, tmp_path, capsys):
    (shapes / "cut.png").write_bytes((shapes / "disc" / "0.png").read_bytes()[:60])
    rows = [
        (r["file"], r["kind"], r["radius"], "")
        for r in rows_of((shapes / "labels.csv").read_text())
    ]
    bad = [("cut.png", "disc", 4, ""), ("gone.png", "square", 4, ""), ("", "disc", 4, "")]
    table = write_table(shapes / "new.csv", [*rows, *bad])
    plan = ["--target", "kind", "--size", "16"]
    err = told_by(capsys, "train", table, *plan, "--dry-run").err
    said = " ".join(err.split())
    assert "2 pictures left out that cannot be read" in said
    assert "cut.png (new.csv, line 50): the file is cut" in said
    assert "gone.png (new.csv, line 51): there is no such file" in said
    assert "1 row has no 'file': left out" in said and "48 pictures, 16 x 16 x 3" in said
    code, err = refused(capsys, "train", table, *plan, "--strict", "--dry-run")
    assert code == 1 and "2 of 50 pictures cannot be read" in err and "cut.png" in err
    # A network answers every row: those of bad files are empty, and named.
    out = tmp_path / "run"
    told_by(capsys, "train", shapes / "labels.csv", *plan, *SMALL, "--out", out)
    found = told_by(capsys, "predict", out, table)
    answers = rows_of(found.out)
    assert len(answers) == 51 and [a["kind"] for a in answers[48:]] == ["", "", ""]
    assert all(a["kind"] for a in answers[:48])
    assert "gone.png (new.csv, line 51): there is no such file; no answer" in found.err


def test_a_path_that_leads_out_of_the_folder_is_refused(shapes, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    table = tmp_path / "in" / "t.csv"
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes((shapes / "disc" / "0.png").read_bytes())
    (tmp_path / "out.png").write_bytes((shapes / "disc" / "0.png").read_bytes())
    write_table(table, [("a.png", "x"), ("b.png", "y"), ("../out.png", "x")], ("file", "kind"))
    code, err = refused(capsys, "train", table, "--target", "kind", "--dry-run")
    assert code == 1 and "t.csv, line 4" in err and "leads out of the folder" in err


def test_a_table_of_pictures_without_a_target_proposes_its_columns(shapes, capsys):
    code, err = refused(capsys, "train", shapes / "labels.csv")
    assert (
        code == 2
        and "--target is missing" in err
        and "kind" in err
        and "file" not in err.split("columns")[0]
    )
    code, err = refused(capsys, "train", shapes / "labels.csv", "--target", "kidn")
    assert code == 2 and "Did you mean 'kind'" in err
    named = ["--column", "note=picture", "--target", "kind", "--dry-run"]
    code, err = refused(capsys, "train", shapes / "labels.csv", *named)
    assert code == 1 and "48 of 48 pictures cannot be read" in err


# How pictures are read and varied


def test_what_shows_through_is_said_and_can_be_chosen(tmp_path, capsys):
    for kind, shade in (("dark", 40), ("light", 200)):
        (tmp_path / kind).mkdir()
        for i in range(6):
            pixels = np.full((16, 16, 4), shade, np.uint8)
            pixels[..., 3] = np.repeat((0, 255), 8)[:, None]
            pixels[8:, :, 0] = i
            Image.fromarray(pixels).save(tmp_path / kind / f"{i}.png")
    said = decided(told_by(capsys, "train", tmp_path, "--dry-run").err)
    assert said["background"].startswith(("white", "black"))
    out = tmp_path / "run"
    told_by(capsys, "train", tmp_path, "--background", "77", *SMALL, "--out", out)
    pixels = load_model(out).preparation.read(tmp_path / "dark" / "0.png")
    assert (pixels[:8] == 77).all() and (pixels[8:, :, 1] == 40).all()
    page = re.sub("<[^>]*>", "", (out / "report.html").read_text())
    assert "--background 77" in page


def test_how_pictures_are_varied_can_be_chosen(shapes, capsys):
    def varied(*options):
        return decided(told_by(capsys, "train", shapes, "--dry-run", *options).err)["augment"]

    assert varied().startswith("mirrored, moved by up to 1 pixel, brighter or darker by 20%: ")
    assert varied("--augment", "none") == "not at all: as you said"
    assert varied("--augment", "flip,brightness").startswith("mirrored, brighter or darker by 20%")
    assert varied("--net", "16").startswith("not at all")
    code, err = refused(capsys, "train", shapes, "--augment", "flop", "--dry-run")
    assert code == 2 and "Did you mean 'flip'" in err
