"""Pictures at the command line: tables that name them, options, answers, new pictures."""

import base64
import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
from commands import document, refused, told_by

from pellucid.cli import main as command
from pellucid.train.answer import answer
from pellucid.train.saved import load_model

Image = pytest.importorskip("PIL.Image")
Draw = pytest.importorskip("PIL.ImageDraw")

SMALL = ["--epochs", "1", "--width", "4", "--batch", "16", "--quiet"]
SUFFIXES = ("png", "jpg", "bmp", "gif")


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
    alone = document(capsys, "predict", out, shapes / "disc" / "1.jpg")
    chance = alone["predictions"][0]["probabilities"]["disc"]
    assert float(answers[1]["probability of disc"]) == pytest.approx(chance, abs=2e-6)
    # Right answers counted by hand.
    right = sum(a["kind"] == a["file"].split("/")[0] for a in answers)
    assert f"{right} of 48 right" in told_by(capsys, "predict", out, table).err
    scores = document(capsys, "evaluate", out, table)["scores"]
    assert scores["n"] == 48 and scores["accuracy"] == pytest.approx(right / 48)


def test_the_plan_says_which_column_has_the_pictures(shapes, capsys):
    plan = ["--target", "kind", "--dry-run"]
    said = decided(told_by(capsys, "train", shapes / "labels.csv", *plan).err)
    assert said["pictures"].startswith("column file: most of its texts are paths")
    assert said["dropped"].startswith("radius, note: only the picture")
    assert said["task"].startswith("classify")
    columns = told_by(capsys, "info", shapes / "labels.csv", "--json").out
    uses = {c["column"]: c["use"] for c in json.loads(columns)["columns"]}
    assert uses["file"] == "picture" and uses["kind"] == "category"
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
    scores = document(capsys, "evaluate", out, table)["scores"]
    assert scores["rmse"] == pytest.approx(float(np.sqrt((errors**2).mean())), rel=1e-6)
    alone = rows_of(told_by(capsys, "predict", out, shapes / "disc" / "0.png").out)
    assert float(alone[0]["radius"]) == pytest.approx(float(answers[0]["radius"]), rel=1e-5)
    # As JSON, from the raw pixels.
    model = load_model(out)
    pixels = model.preparation.read(shapes / "disc" / "0.png").reshape(-1).tolist()
    (served,) = answer(model, [pixels])
    assert served["prediction"] == pytest.approx(float(answers[0]["radius"]), rel=1e-5)


def test_missing_and_damaged_files_are_named_and_counted(shapes, tmp_path, capsys):
    (shapes / "cut.png").write_bytes((shapes / "disc" / "0.png").read_bytes()[:60])
    rows = [
        (r["file"], r["kind"], r["radius"], "")
        for r in rows_of((shapes / "labels.csv").read_text())
    ]
    bad = [("cut.png", "disc", 4, ""), ("gone.png", "square", 4, ""), ("", "disc", 4, "")]
    table = write_table(shapes / "new.csv", [*rows[:10], *bad, *rows[10:]])
    plan = ["--target", "kind", "--size", "16"]
    err = told_by(capsys, "train", table, *plan, "--dry-run").err
    said = " ".join(err.split())
    assert "2 pictures left out that cannot be read" in said
    assert "cut.png (new.csv, line 12): the file is cut" in said
    assert "gone.png (new.csv, line 13): there is no such file" in said
    assert "1 row has no 'file': left out" in said and "48 pictures, 16 x 16 x 3" in said
    code, err = refused(capsys, "train", table, *plan, "--strict", "--dry-run")
    assert code == 1 and "2 of 50 pictures cannot be read" in err and "cut.png" in err
    # A network answers every row: those of bad files are empty, and named.
    out = tmp_path / "run"
    told_by(capsys, "train", shapes / "labels.csv", *plan, *SMALL, "--out", out)
    found = told_by(capsys, "predict", out, table)
    answers = rows_of(found.out)
    assert len(answers) == 51 and [a["kind"] for a in answers[10:13]] == ["", "", ""]
    whole = rows_of(told_by(capsys, "predict", out, shapes / "labels.csv").out)
    assert [*answers[:10], *answers[13:]] == whole
    assert "gone.png (new.csv, line 13): there is no such file; no answer" in found.err


def test_the_pictures_of_one_group_stay_in_one_part(shapes, capsys):
    from pellucid.train.recipe import recipe

    rows = rows_of((shapes / "labels.csv").read_text())
    patients = [i % 16 for i in range(48)]
    named = [(r["file"], r["kind"], p) for r, p in zip(rows, patients, strict=True)]
    # A copy of the first picture with another patient: both patients are one then.
    named.append((rows[0]["file"], rows[0]["kind"], 5))
    table = write_table(shapes / "patients.csv", named, ("file", "kind", "patient"))
    for seed in range(4):
        made = recipe(str(table), target="kind", group="patient", seed=seed, size=16)
        parts = made.split(made.dataset())
        of = [{[*patients, 5][i] for i in p} for p in (parts.train, parts.validation, parts.test)]
        assert all(of) and sum(map(len, of)) == 16 and len(set.union(*of)) == 16
        assert any({0, 5} <= part for part in of)
    plan = ["--target", "kind", "--group", "patient", "--dry-run"]
    assert "one group" in decided(told_by(capsys, "train", table, *plan).err)["rows"]
    code, err = refused(capsys, "train", table, *plan[:3], "patent")
    assert code == 2 and "Did you mean 'patient'" in err


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


def test_pictures_that_memory_has_no_room_for_are_learned_to_the_same_bits(
    shapes, tmp_path, capsys
):
    line = [
        "train",
        shapes,
        "--size",
        "16",
        "--width",
        "4",
        "--epochs",
        "2",
        "--batch",
        "16",
        "--json",
    ]
    said = told_by(capsys, *line, "--memory", "20kB", "--out", tmp_path / "a")
    assert "36.9 kB of pixels lie on disk" in decided(said.err)["streamed"]  # 48 x 16 x 16 x 3
    whole = json.loads(told_by(capsys, *line, "--out", tmp_path / "b").out)
    assert json.loads(said.out)["weights_sha256"] == whole["weights_sha256"]
    assert json.loads(said.out)["metrics"] == whole["metrics"]


# Grey pictures of 16 bits, two classes


def test_deep_grey_pictures_are_learned_and_screened(tmp_path, capsys):
    """As of an X-ray: values to 4,000 of 65,535; the light spot is the finding."""
    rng, folder, out = np.random.default_rng(3), tmp_path / "scans", tmp_path / "run"
    for kind in ("healthy", "effusion"):
        (folder / kind).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 400, (16, 16)).astype(np.uint16)
            if kind == "effusion":
                y, x = rng.integers(1, 10, 2)
                pixels[y : y + 5, x : x + 5] = 4000
            Image.fromarray(pixels).save(folder / kind / f"{i}.png")
    line = ["train", folder, "--width", "4", "--epochs", "8", "--lr", "0.01", "--out", out]
    said = told_by(capsys, *line)
    assert decided(said.err)["white"].startswith("0..4,095 becomes 0..255")
    assert decided(said.err)["channels"].startswith("1, grey")
    model = load_model(out)
    assert model.shape == (16, 16, 1)
    # 4000 of 4095, in 0..255: as calculated by hand
    assert model.preparation.read(folder / "effusion" / "0.png").max() == round(4000 * 255 / 4095)
    # Sensitivity counted by hand, over all pictures.
    answers = told_by(capsys, "predict", out, folder, "--json").out
    answers = json.loads(answers)["predictions"]
    found = [a["class"] == "effusion" for a in answers if a["true"] == "effusion"]
    left = [a["class"] == "healthy" for a in answers if a["true"] == "healthy"]
    told = document(capsys, "evaluate", out, folder)["scores"]
    screening = told["screening"]
    assert screening["positive"] == "effusion" and len(found) == len(left) == 20
    assert screening["sensitivity"] == np.mean(found) and screening["specificity"] == np.mean(left)
    assert re.search(
        "With 'effusion' as the positive class: sensitivity [0-9.]+ % .*specificity", said.out
    )
    page = (out / "report.html").read_text()
    assert "What this network is for and is not" in page and "no clearance for medical use" in page
    assert "medical" not in said.out + said.err


# New pictures


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(folder of 60 loose grey pictures, the run of a generator that learned from them)."""
    root, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(1)
    (root / "loose").mkdir()
    for i in range(60):
        pixels = np.full((9, 10), 240, np.uint8)
        at = int(rng.integers(1, 7))
        pixels[at : at + 2] = rng.integers(0, 80)
        Image.fromarray(pixels).save(root / "loose" / f"{i:02}.png")
    options = ["--task", "generate", "--epochs", "2", "--width", "2", "--quiet"]
    arguments = ["train", root / "loose", *options, "--out", root / "run"]
    assert command.run([str(a) for a in arguments]) == 0
    return root / "loose", root / "run"


def test_a_generator_learns_from_a_folder_without_classes(made):
    _, run = made
    result = json.loads((run / "metrics.json").read_text())
    assert result["settings"]["task"] == "generate" and result["classes"] == []
    assert {"precision", "coverage", "copies"} <= set(result["pictures"])
    sheets = sorted(p.name for p in (run / "samples").glob("epoch-*.png"))
    assert sheets == ["epoch-0001.png", "epoch-0002.png"]
    assert load_model(run).shape == (64,)


def test_the_gallery_has_each_picture_beside_the_nearest_that_was_learned_from(
    made, tmp_path, capsys
):
    folder, run = made
    page = tmp_path / "gallery.html"
    told = document(capsys, "generate", run, "--n", 5, "--out", page)
    text = page.read_text()
    assert (
        not re.search("https?://|<script|<link", text)
        and text.count("data:image/png;base64,") == 10
    )
    images = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(found))))[8::16, 8::16]
        for found in re.findall('base64,([^"]+)', text)
    ]
    # What was learned from, without the part that was held out: found again by its pixels.
    real = {p.name: np.asarray(Image.open(p).resize((8, 8), 2), float) for p in folder.iterdir()}
    for i, picture in enumerate(told["pictures"]):
        new, near = images[2 * i] / 255, images[2 * i + 1] / 255
        apart = {name: np.sqrt(((new - r / 255) ** 2).sum()) for name, r in real.items()}
        assert np.abs(near - real[picture["nearest"]] / 255).max() < 0.01
        # Shown pictures are rounded to 1/255: 64 pixels, half a step each.
        assert picture["distance"] == pytest.approx(apart[picture["nearest"]], abs=0.02)
        assert sum(d < picture["distance"] - 0.02 for d in apart.values()) <= 12  # held out: 12
        assert f"{i + 1}: {picture['distance']:.2f} from" in text


def test_a_copy_is_named(made):
    from pellucid.train.recipe import recipe
    from pellucid.train.samples import nearest

    _, run = made
    made_by = recipe(**load_model(run).settings)
    data = made_by.dataset()
    parts = made_by.split(data)
    known, unknown = int(parts.train[3]), int(parts.test[0])
    found = nearest(np.concatenate([data.x[[known]], -data.x[[unknown]]]), data, parts)
    assert found.rows[0] == known and found.distances[0] < 1e-6
    assert found.is_copy.tolist() == [True, False]


def test_pictures_are_made_where_the_learned_ones_are_gone(made, tmp_path, capsys):
    _, run = made
    packed = tmp_path / "made.pellucid"
    told_by(capsys, "pack", run, "--out", packed)
    settings = json.loads((run / "model.json").read_text())["settings"]
    elsewhere = tmp_path / "run"
    shutil.copytree(run, elsewhere)
    model = json.loads((run / "model.json").read_text())
    model["settings"] = {**settings, "data": str(tmp_path / "gone")}
    (elsewhere / "model.json").write_text(json.dumps(model))
    said = told_by(capsys, "generate", elsewhere, "--n", 3, "--out", tmp_path / "g.png")
    assert "3 pictures" in said.out and "nearest pictures are not shown" in said.err
    with Image.open(tmp_path / "g.png") as picture:
        assert picture.width == 3 * (32 + 2) + 2
    said = told_by(capsys, "generate", packed, "--n", 3, "--out", tmp_path / "p.html")
    assert "not shown" not in said.err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--size", "30"], 2, "4 to 7 doubled"),
        (["--test", "0"], 1, "too few to make new ones"),
        (["--net", "cnn"], 2, "dcgan"),
    ],
)
def test_what_no_generator_can_learn_from_is_refused(options, code, words, made, capsys):
    folder, _ = made
    line = ["train", folder, "--task", "generate", "--dry-run", *options]
    got, err = refused(capsys, *line)
    assert got == code and words in err


# Folders


def copied(shapes, to):
    """The folder of each class, alone."""
    for kind in ("disc", "square"):
        shutil.copytree(shapes / kind, to / kind)
    return to


def test_a_damaged_picture_of_a_folder_is_named_and_the_others_are_answered(
    shapes, tmp_path, capsys
):
    shapes, out = copied(shapes, tmp_path / "all"), tmp_path / "run"
    told_by(capsys, "train", shapes, *SMALL, "--no-baselines", "--out", out)
    whole = told_by(capsys, "predict", out, shapes, "--json")
    folder = copied(shapes, tmp_path / "some")
    cut = folder / "disc" / "4.png"
    cut.write_bytes(cut.read_bytes()[:60])
    some = told_by(capsys, "predict", out, folder, "--json")
    assert f"{cut}: the file is cut" in some.err and "no answer" in some.err
    answers = {p["file"]: p for p in json.loads(some.out)["predictions"]}
    assert str(cut) not in answers and len(answers) == 47
    for one in json.loads(whole.out)["predictions"]:
        file = one["file"].replace(str(shapes), str(folder))
        assert file == str(cut) or answers[file] == {**one, "file": file}
    scored = told_by(capsys, "evaluate", out, folder, "--json")
    assert json.loads(scored.out)["scores"]["n"] == 47
    (note,) = (line for line in scored.err.splitlines() if str(cut) in line)
    assert note.startswith(f"{cut}: ")  # once
    # Its numbers are those of all files, as without the damage.
    heat = ["--out", tmp_path / "why.png"]
    rows = [
        told_by(capsys, "explain", out, f / "disc", "--row", "24", *heat).out
        for f in (shapes, folder)
    ]
    assert rows[0].splitlines()[1:] == rows[1].splitlines()[1:]
    # One picture has no row.
    alone = told_by(capsys, "explain", out, folder / "disc" / "8.png", *heat).out
    assert " row " not in alone.splitlines()[0]
    code, err = refused(capsys, "predict", out, cut)
    assert code == 1 and f"{cut}: the file is cut" in err


def test_evaluate_says_which_folders_it_knows(shapes, tmp_path, capsys):
    out = tmp_path / "run"
    told_by(capsys, "train", shapes, *SMALL, "--no-baselines", "--out", out)
    other = copied(shapes, tmp_path / "other")
    (other / "disc").rename(other / "round")
    (other / "square").rename(other / "edged")
    code, err = refused(capsys, "evaluate", out, other)
    assert code == 1 and "'edged', 'round'" in err and "'disc', 'square'" in err
    code, err = refused(capsys, "evaluate", out, shapes / "disc")
    assert code == 1 and "Give a folder for each class: 'disc', 'square'." in err


# Shapes in four formats and many sizes


def test_shapes_are_told_apart_and_the_heat_map_lies_on_the_shape(tmp_path, capsys):
    folder, rng = tmp_path / "shapes", np.random.default_rng(7)
    for kind in ("disc", "square"):
        (folder / kind).mkdir(parents=True)
        for i in range(60):
            drawn(kind, rng, (20, 30))[0].save(folder / kind / f"{i}.{SUFFIXES[i % 4]}")
    out, options = tmp_path / "run", ["--size", "16", "--width", "8", "--epochs", "12", "--quiet"]
    result = document(capsys, "train", folder, *options, "--out", out)
    assert result["scores"]["n"] == 24 and result["scores"]["accuracy"] >= 0.85
    model = load_model(out)
    on_shape = []
    for i in range(8):
        picture, _ = drawn("disc", rng, (20, 30))
        file = tmp_path / f"new{i}.{SUFFIXES[i % 4]}"
        picture.save(file)
        answer = document(capsys, "predict", out, file)["predictions"][0]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=2e-6)
        heat = tmp_path / "heat.png"
        told = document(capsys, "explain", out, file, "--out", heat)
        assert told["answer"] == answer["class"]
        with Image.open(heat) as drawing:
            assert drawing.width > 2 * 16
        # The shape is what is dark; its neighbours belong to its edge.
        dark = model.preparation.read(file).mean(-1) < 140
        near = np.pad(dark, 1)
        near = np.any([np.roll(near, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)], 0)
        near = near[1:-1, 1:-1]
        places = [tuple(map(int, re.findall(r"\d+", name))) for name in told["parts"]]
        on_shape.append((np.mean([near[r - 1, c - 1] for r, c in places]), near.mean()))
    share, by_chance = np.mean(on_shape, 0)
    assert share > by_chance + 0.2, (share, by_chance)
