"""A person's own text, series and tables at the command line: trained, told, asked again, mistakes in a sentence."""

import csv
import io
import json

import numpy as np
import pytest
from commands import document, refused, told_by

from pellucid.cli import main as command
from pellucid.train import answer
from pellucid.train.explain import chance_of, integrated_gradients
from pellucid.train.saved import load_model

TEXT = ["--width", "16", "--layers", "1", "--window", "16", "--epochs", "1", "--batch", "64"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "rhyme.txt"
    path.write_text("Round and round the garden\nlike a teddy bear;\n" * 30, encoding="utf-8")
    return path


# Texts


def test_a_text_is_learned_and_written_on(text, tmp_path, capsys):
    out = tmp_path / "run"
    result = document(capsys, "train", text, *TEXT, "--out", out)
    assert result["settings"]["kind"] == "text" and result["settings"]["task"] == "continue"
    kinds = sorted(set(text.read_text()))
    assert result["characters"] == len(kinds)
    assert load_model(out).classes == tuple(kinds)
    written = told_by(capsys, "sample", out, "--length", "20").out
    assert set(written) <= set(kinds)
    assert "nats a character" in told_by(capsys, "predict", out, text).out


def test_a_list_is_judged_by_whole_lines_and_written_on(tmp_path, capsys):
    names = [a + b for a in ("an", "be", "cor", "dori") for b in ("na", "lla", "a", "is", "etta")]
    path, out = tmp_path / "names.txt", tmp_path / "run"
    path.write_text("\n".join(names * 10) + "\n")
    small = ["--width", "8", "--epochs", "1"]
    result = document(capsys, "train", path, *small, "--out", out)
    assert result["settings"]["net"] == "lstm"
    (told,) = document(capsys, "predict", out, path)["predictions"]
    # All but the first line, and the last ones, which do not fill a window.
    n_all = len(path.read_text()) - len(names[0]) - 1
    assert n_all - result["settings"]["window"] < told["n"] <= n_all
    assert told_by(capsys, "sample", out, "--prompt", "cor", "--length", "20").out.startswith("cor")


def test_a_list_that_is_shorter_than_a_window_is_judged_from_its_first_character(tmp_path, capsys):
    learned, asked, out = tmp_path / "long.txt", tmp_path / "short.txt", tmp_path / "run"
    learned.write_text("anna\nida\nnina\n" * 300)
    asked.write_text("ana\n" * 100)
    small = ["--width", "4", "--window", "400", "--epochs", "1"]
    told_by(capsys, "train", learned, *small, "--out", out, "--json")
    (told,) = document(capsys, "predict", out, asked)["predictions"]
    assert told["n"] == 399 and told["loss"] > 0.5


def test_a_text_goes_on_from_its_run_to_the_same_bits(text, tmp_path, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    more = [*TEXT, "--schedule", "constant", "--json", "--quiet"]
    more[more.index("--epochs") + 1] = "2"
    a = json.loads(told_by(capsys, "train", text, *more, "--out", whole).out)
    more[more.index("--epochs") + 1] = "1"
    told_by(capsys, "train", text, *more, "--out", cut)
    again = ["train", text, "--resume", "--epochs", "2", "--out", cut, "--json", "--quiet"]
    b = json.loads(told_by(capsys, *again).out)
    assert a["weights_sha256"] == b["weights_sha256"]


def test_a_short_text_has_short_windows(tmp_path, capsys):
    path = tmp_path / "short.md"
    path.write_text(
        "abcabdabe" * 40
    )  # 360 characters; a part of 36 must hold a window and one more
    told_by(capsys, "train", path, "--width", "8", "--layers", "1", "--epochs", "1", "--dry-run")
    out = tmp_path / "run"
    arguments = ["--width", "8", "--layers", "1", "--epochs", "1", "--out", out, "--json"]
    settings = json.loads(told_by(capsys, "train", path, *arguments).out)["settings"]
    assert settings["window"] == 9


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"abcdefghij", "10 characters are too few"),
        (b"", "0 characters are too few"),
        (b"caf\xe9 " * 50, "not UTF-8 text (byte 3)"),
        (b"a" * 300, "only one kind of character"),
    ],
)
def test_a_text_that_teaches_nothing_is_refused(content, words, tmp_path, capsys):
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    code, err = refused(capsys, "train", path, "--out", tmp_path / "run")
    assert code == 1 and words in err and "x.txt" in err
    assert not (tmp_path / "run" / "model.json").exists()


# Names of files


def test_a_file_that_is_not_there_names_the_nearest(text, tmp_path, capsys):
    code, err = refused(capsys, "train", tmp_path / "ryhme.txt")
    assert code == 2 and "there is no such file" in err and "rhyme.txt" in err
    assert refused(capsys, "train", "digist")[0] == 2


def test_settings_of_a_table_are_refused_for_other_data(text, capsys):
    code, err = refused(capsys, "train", "digits", "--target", "x")
    assert code == 2 and "--target is no setting of digits" in err
    code, err = refused(capsys, "train", text, "--group", "x")
    assert code == 2 and "--group is no setting of a text" in err


def test_a_dry_run_tells_and_writes_nothing(text, tmp_path, capsys):
    capsys.readouterr()
    out = tmp_path / "run"
    assert command.run(["train", str(text), *TEXT, "--dry-run", "--out", str(out)]) == 0
    assert "characters of" in capsys.readouterr().err
    assert not out.exists()


# Tables

FLOWERS = ["--net", "8", "--epochs", "30", "--batch", "16", "--lr", "0.01"]


def flower_rows(n=90):
    """length,width,colour,kind: the length and the colour give the kind away."""
    rng = np.random.default_rng(7)
    kinds = ("rose", "tulip", "daisy")
    return [
        [f"{3 * (i % 3) + rng.normal() / 2:.4f}", f"{rng.normal():.4f}", ("red", "blue")[i % 2], kinds[i % 3]]
        for i in range(n)
    ]  # fmt: skip


def write(path, names, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def read(text):
    """The rows of a CSV as dictionaries."""
    return list(csv.DictReader(io.StringIO(text)))


NAMES = ["length", "width", "colour", "kind"]


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """(file, run folder, result, what was told) of a table that was learned."""
    base = tmp_path_factory.mktemp("flowers")
    path = write(base / "flowers.csv", NAMES, flower_rows())
    out = base / "run"
    code = command.run(
        ["train", str(path), "--target", "kind", *FLOWERS, "--out", str(out), "--quiet"]
    )
    assert code == 0
    return path, out, json.loads((out / "metrics.json").read_text())


def test_a_table_is_learned_and_scored_beside_simple_methods(flowers):
    _, out, result = flowers
    assert result["classes"] == ["daisy", "rose", "tulip"]
    assert result["scores"]["accuracy"] > result["baselines"]["majority"]["accuracy"]
    # A third of the rows each.
    assert result["baselines"]["majority"]["accuracy"] == pytest.approx(1 / 3, abs=0.05)
    assert result["scores"]["n"] == np.sum(result["confusion"]) == 18
    names = {d["name"] for d in result["decisions"]}
    assert {"data", "target", "numbers", "categories", "rows", "net", "lr"} <= names
    assert load_model(out).settings["kind"] == "table"


def test_the_report_names_every_class_and_what_it_is_beside(flowers, tmp_path, capsys):
    path = flowers[0]
    out = told_by(capsys, "train", path, "--target", "kind", "--net", "4", "--epochs", "2",
                  "--out", tmp_path / "run").out  # fmt: skip
    for word in (
        "kind of 18 held-out rows",
        "this network",
        "majority",
        "precision",
        "daisy",
        "95 %",
    ):
        assert word in out, word


def test_amounts_are_scored_in_their_own_unit(tmp_path, capsys):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 2))
    price = 50_000 + 9_000 * x[:, 0] - 4_000 * x[:, 1]
    rows = [[f"{a:.5f}", f"{b:.5f}", f"{p:.1f}"] for (a, b), p in zip(x, price, strict=True)]
    path = write(tmp_path / "houses.csv", ["a", "b", "price"], rows)
    out = tmp_path / "run"
    words = told_by(capsys, "train", path, "--target", "price", *FLOWERS, "--out", out).out
    assert "price of 40 held-out rows" in words and "RMSE" in words and "mean" in words
    result = json.loads((out / "metrics.json").read_text())
    assert result["settings"]["task"] == "regress"
    # The deviation of the price is about 10,000; a network that learned is far below it.
    assert result["scores"]["rmse"] < 5_000 < result["baselines"]["mean"]["rmse"] < 14_000
    answers = read(told_by(capsys, "predict", out, path, "--keep", "price").out)
    found = np.array([[float(r["price"]), float(r["predicted price"])] for r in answers])
    assert len(found) == 200 and np.abs(found[:, 0] - found[:, 1]).mean() < 5_000


def test_answers_are_a_csv_with_a_line_for_each_row(flowers, tmp_path, capsys):
    path, out, _ = flowers
    rows = read(told_by(capsys, "predict", out, path).out)
    assert len(rows) == 90
    assert list(rows[0]) == [
        "kind",
        "probability of daisy",
        "probability of rose",
        "probability of tulip",
    ]
    for row in rows:
        chances = {
            k.removeprefix("probability of "): float(v) for k, v in row.items() if k != "kind"
        }
        # Three numbers rounded to six digits.
        assert sum(chances.values()) == pytest.approx(1, abs=3e-6)
        assert row["kind"] == max(chances, key=lambda k: chances[k])
    assert command.run(["predict", str(out), str(path), "--out", str(tmp_path / "a.csv")]) == 0
    told = capsys.readouterr()
    assert told.out == "" and "90 answers" in told.err
    assert read((tmp_path / "a.csv").read_text()) == rows
    told = document(capsys, "predict", out, path)
    assert [p["kind"] for p in told["predictions"]] == [r["kind"] for r in rows]


def test_how_many_are_right_is_told_where_the_file_says(flowers, capsys):
    path, out, _ = flowers
    answers = [r["kind"] for r in read(told_by(capsys, "predict", out, path).out)]
    n = sum(a == row[3] for a, row in zip(answers, flower_rows(), strict=True))
    command.run(["predict", str(out), str(path)])
    assert f"{n} of 90 right" in capsys.readouterr().err


def test_columns_are_found_by_name(flowers, tmp_path, capsys):
    """Reordered, surplus, without the target: the same answers; what is ignored is named."""
    path, out, _ = flowers
    expected = told_by(capsys, "predict", out, path).out
    turned = [[r[2], "note", r[1], r[0]] for r in flower_rows()]
    other = write(tmp_path / "new.csv", ["colour", "remark", "width", "length"], turned)
    assert command.run(["predict", str(out), str(other)]) == 0
    told = capsys.readouterr()
    assert told.out == expected and "'remark'" in told.err


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["width", "colour"], ["'length'", "There are"]),
        (["Length", "width", "colour"], ["'length'", "'Length'"]),
    ],
)
def test_a_missing_column_is_named(names, words, flowers, tmp_path, capsys):
    place = {"length": 0, "Length": 0, "width": 1, "colour": 2}
    rows = [[r[place[n]] for n in names] for r in flower_rows(5)]
    code, err = refused(capsys, "predict", flowers[1], write(tmp_path / "x.csv", names, rows))
    assert code == 1 and all(w in err for w in ("x.csv", *words))


def test_what_was_never_seen_is_answered_and_counted(flowers, tmp_path, capsys):
    rows = [["1.5", "0", "green"], ["", "0", "red"], ["1.5", "0", ""]]
    path = write(tmp_path / "new.csv", NAMES[:3], rows)
    assert command.run(["predict", str(flowers[1]), str(path)]) == 0
    told = capsys.readouterr()
    assert len(read(told.out)) == 3
    assert "'green'" in told.err and "'length': 1 missing" in told.err


def test_kept_columns_stay_as_they_were_and_nothing_is_executed(flowers, tmp_path, capsys):
    rows = [["1.5", "0", "red", "=1+1", "7"], ["2", "1", "blue", "plain", "8"]]
    path = write(tmp_path / "new.csv", [*NAMES[:3], "who", "id"], rows)
    out = told_by(capsys, "predict", flowers[1], path, "--keep", "id", "--keep", "who").out
    first, second = list(csv.reader(io.StringIO(out)))[1:]
    assert first[0] == "7" and second[:2] == ["8", "plain"]
    # A spreadsheet runs what begins with =, +, -, @.
    assert not first[1].startswith("=") and "1+1" in first[1]
    code, err = refused(capsys, "predict", flowers[1], path, "--keep", "woh")
    assert code == 2 and "Did you mean 'who'" in err


def test_several_files_are_told_apart(flowers, tmp_path, capsys):
    a = write(tmp_path / "a.csv", NAMES[:3], [r[:3] for r in flower_rows(3)])
    b = write(tmp_path / "b.csv", NAMES[:3], [r[:3] for r in flower_rows(2)])
    rows = read(told_by(capsys, "predict", flowers[1], a, b).out)
    assert [r["file"] for r in rows] == [str(a)] * 3 + [str(b)] * 2


def test_a_table_larger_than_memory_is_answered_piece_by_piece(
    flowers, tmp_path, capsys, monkeypatch
):
    """The same answers and the same notes as of the table at once."""
    rng = np.random.default_rng(3)
    rows = [[*r, i] for i, r in enumerate(flower_rows(11_000))]
    for i in rng.choice(len(rows), 40, replace=False):
        rows[i][2] = "green"
    for i in rng.choice(len(rows), 30, replace=False):
        rows[i][0] = ("", "NA")[i % 2]
    rows[7_000][3] = "nettle"  # no class that was learned
    path = write(tmp_path / "new.csv", [*NAMES, "number"], rows)
    arguments = ["predict", str(flowers[1]), str(path), "--keep", "number"]
    told, frames = {}, []

    def encode(self, frame, encode=answer.Rows.encode):
        frames.append(len(frame))
        return encode(self, frame)

    monkeypatch.setattr(answer.Rows, "encode", encode)
    for memory in (None, 1_000_000):
        frames.clear()
        monkeypatch.setattr(answer, "memory_for", lambda *_, memory=memory: memory)
        out = tmp_path / f"{memory}.csv"
        assert command.run([*arguments, "--out", str(out)]) == 0
        told[memory] = out.read_text(), capsys.readouterr().err.replace(f"{memory}.csv", "")
        assert sum(frames) == 11_000 and (len(frames) > 3) == bool(memory)
    assert told[None][0] == told[1_000_000][0]
    assert sorted(told[None][1].splitlines()) == sorted(told[1_000_000][1].splitlines())
    assert "40 with a category that is rare or new ('green')" in told[None][1]
    assert "'length': 30 missing" in told[None][1] and "of 10,999 right" in told[None][1]
    scores = {}
    for memory in (None, 1_000_000):
        monkeypatch.setattr(answer, "memory_for", lambda *_, memory=memory: memory)
        scores[memory] = document(capsys, "evaluate", flowers[1], path)
    assert scores[None] == scores[1_000_000] and scores[None]["left_out"] == 1
    found = document(capsys, *arguments)["predictions"]
    assert [f["row"] for f in found] == list(range(1, 11_001))
    # A wrong row in a later piece is named, and nothing is left behind.
    path.write_text(path.read_text() + "1,2\n")
    code, err = refused(capsys, *arguments, "--out", tmp_path / "broken.csv")
    assert code == 1 and "new.csv, line 11002" in err
    assert not list(tmp_path.glob("broken*"))


def test_a_table_goes_on_from_its_folder_without_being_asked_again(flowers, tmp_path, capsys):
    path, _, result = flowers
    out = tmp_path / "run"
    arguments = ["train", path, "--target", "kind", *FLOWERS, "--out", out, "--json", "--quiet"]
    told_by(capsys, *arguments)
    again = json.loads(
        told_by(capsys, "train", path, "--resume", "--out", out, "--json", "--quiet").out
    )
    assert again["weights_sha256"] == result["weights_sha256"]
    code, err = refused(capsys, "train", path, "--resume", "--out", out, "--target", "colour")
    assert code == 1 and "target = kind, not colour" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, ["--target is missing", "kind"]),
        (["--target", "Kind"], 2, ["Did you mean 'kind'"]),
        (["--target", "kind", "--column", "colour=number"], 1, ["'colour'", "'red'"]),
        (["--target", "kind", "--column", "color=category"], 2, ["Did you mean 'colour'"]),
        (["--target", "kind", "--column", "colour=kategory"], 2, ["Did you mean 'category'"]),
        (["--target", "kind", "--column", "colour"], 2, ["COLUMN=USE"]),
        (["--target", "kind", "--task", "regress"], 1, ["amounts are numbers"]),
        (["--target", "kind", "--net", "gpt"], 2, ["mlp"]),
        (["--target", "kind", "--task", "forecast"], 1, ["'kind'", "needs numbers"]),
        (["--target", "kind", "--test", "0.6", "--validation", "0.5"], 1, ["sum must be below 1"]),
    ],
)
def test_slips_about_a_table_are_answered_in_a_sentence(
    arguments, code, words, flowers, tmp_path, capsys
):
    found, err = refused(capsys, "train", flowers[0], *arguments, "--out", tmp_path / "run")
    assert found == code and all(w in err for w in words), err
    assert not (tmp_path / "run" / "model.json").exists()


def test_settings_come_from_a_file_and_the_command_line_comes_before_it(flowers, tmp_path, capsys):
    path = tmp_path / "plan.toml"
    path.write_text(
        'target = "kind"\nnet = [4]\nepochs = 2\nlr = 0.01\n[columns]\ncolour = "identifier"\n'
    )
    out = tmp_path / "run"
    told = told_by(
        capsys, "train", flowers[0], "--settings", path, "--epochs", "1", "--out", out, "--json"
    )
    settings = json.loads(told.out)["settings"]
    assert (settings["net"], settings["epochs"], settings["lr"]) == ([4], 1, 0.01)
    assert settings["columns"] == {"colour": "identifier"} and settings["target"] == "kind"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("target = ", "no TOML"),
        ('target = "kind"\nepoch = 3', "Did you mean 'epochs'"),
        ('target = "kind"\nclass-weights = "root"', "Did you mean 'class_weights'"),
        ('target = "kind"\n[train]\nepochs = 3', "outside of [train]"),
        ('[column]\ncolour = "category"', "Did you mean 'columns'"),
        ('target = "kind"\ntask = "clasify"', "Did you mean 'classify'"),
        ('target = "kind"\noptimizer = "adma"', "Did you mean 'adam'"),
        ('target = "kind"\n[columns]\ncolour = "categry"', "Did you mean 'category'"),
        ('target = "kind"\nfor = "3 weeks"', "for: '3 weeks' is no time"),
        ('target = "kind"\nmemory = "much"', "memory: 'much' is no amount"),
        ('target = "kind"\nnet = "64x32"', "net: '64x32' is not a list of widths"),
        ('target = "kind"\nepochs = "3"', "epochs = '3' cannot be used"),
        ('target = "kind"\nseed = true', "seed = True cannot be used"),
        ('target = "kind"\nnet = 3', "net must be"),
        ('data = "digits"', "'data' is no setting"),
    ],
)
def test_a_file_of_settings_with_a_slip_is_refused(content, words, flowers, tmp_path, capsys):
    path = tmp_path / "plan.toml"
    path.write_text(content)
    code, err = refused(capsys, "train", flowers[0], "--settings", path)
    assert code == 2 and words in err and f"{path}: " in err


def test_a_file_of_settings_has_the_words_of_the_command_line(flowers, tmp_path, capsys):
    path, out = tmp_path / "plan.toml", tmp_path / "run"
    path.write_text('target = "kind"\nnet = "4-3"\nmemory = "2GB"\nfor = "1h"\nepochs = 1\n')
    told = told_by(capsys, "train", flowers[0], "--settings", path, "--out", out, "--json")
    settings = json.loads(told.out)["settings"]
    assert settings["net"] == [4, 3] and settings["memory"] == 2 * 10**9


def test_info_says_what_a_table_network_takes(flowers, capsys):
    out = told_by(capsys, "info", flowers[1]).out
    assert "3 classes: daisy, rose, tulip" in out and "target" in out


# Series


def dated(tmp_path, days, values, names=("day", "temp")):
    rows = [
        [str(np.datetime64("2020-01-01") + d), f"{v:.3f}"]
        for d, v in zip(days, values, strict=True)
    ]
    return write(tmp_path / "t.csv", names, rows)


WAVE = [10 + 5 * np.sin(i / 3) for i in range(120)]
SERIES = ["--task", "forecast", "--width", "4", "--epochs", "2", "--window", "6"]


def test_a_dated_table_is_forecast(tmp_path, capsys):
    path = dated(tmp_path, range(120), WAVE)
    out = tmp_path / "run"
    result = document(capsys, "train", path, *SERIES, "--out", out)
    assert result["settings"]["target"] == "temp" and result["settings"]["kind"] == "series"
    # The last fifth; persistence by hand.
    truth = np.round(WAVE, 3)
    assert result["test"]["times"][0] == "2020-04-06" and len(result["test"]["truth"]) == 24
    assert result["baseline"]["persistence"]["mae"] == pytest.approx(
        np.abs(np.diff(truth))[-24:].mean()
    )
    words = told_by(capsys, "predict", out, path, "--steps", "2").out
    assert "after 2020-04-29" in words and len(words.splitlines()) == 3


def test_rows_out_of_order_are_put_in_order_and_gaps_are_told(tmp_path, capsys):
    days = [1, 0, *range(2, 60), *range(70, 130)]
    path = dated(tmp_path, days, WAVE)
    command.run(["train", str(path), *SERIES, "--dry-run"])
    err = capsys.readouterr().err.replace("\n            ", " ")
    assert "line 3" in err and "put in order" in err
    assert "1 gap in the dates, the first after 2020-02-29" in err


@pytest.mark.parametrize(
    ("days", "values", "words"),
    [
        ([0, 1, 1, *range(3, 120)], WAVE, "2020-01-02 comes twice"),
        (range(120), [5.0] * 120, "every value is 5"),
        (range(5), WAVE[:5], "values"),
    ],
)
def test_a_series_that_cannot_be_learned_is_refused(days, values, words, tmp_path, capsys):
    code, err = refused(
        capsys, "train", dated(tmp_path, days, values), *SERIES, "--out", tmp_path / "r"
    )
    assert code == 1 and words in err and "t.csv" in err


def test_a_series_without_a_value_names_the_line(tmp_path, capsys):
    path = dated(tmp_path, range(120), WAVE)
    lines = path.read_text().splitlines()
    lines[40] = lines[40].split(",")[0] + ","
    path.write_text("\n".join(lines) + "\n")
    code, err = refused(capsys, "train", path, *SERIES, "--out", tmp_path / "r")
    assert code == 1 and "line 41" in err and "there is no value" in err


def test_of_several_columns_one_must_be_named(tmp_path, capsys):
    rows = [[f"2020-01-{1 + i:02}", str(i), str(i * i)] for i in range(20)]
    path = write(tmp_path / "two.csv", ["day", "a", "b"], rows)
    code, err = refused(capsys, "train", path, "--task", "forecast")
    assert code == 2 and "There are: a, b" in err


# Pictures


def draw(folder, kinds=("bar", "beam"), n=20, side=8):
    """Bars stand, beams lie: n of each, a folder for each kind."""
    Image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(5)
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 60, (side, side)).astype(np.uint8)
            at = int(rng.integers(1, side - 2))
            if kind == "bar":
                pixels[:, at : at + 2] = 250
            else:
                pixels[at : at + 2] = 250
            Image.fromarray(pixels).save(folder / kind / f"{i}.png")
    return folder


PICTURES = ["--width", "4", "--epochs", "12", "--lr", "0.02", "--batch", "8"]


def test_a_folder_of_pictures_is_learned_and_asked_again(tmp_path, capsys):
    folder, out = draw(tmp_path / "shapes"), tmp_path / "run"
    result = document(capsys, "train", folder, *PICTURES, "--out", out)
    assert result["settings"]["kind"] == "pictures" and result["classes"] == ["bar", "beam"]
    assert result["scores"]["n"] == 8 and result["scores"]["accuracy"] > 0.7
    # Elsewhere, with the folder of the training pictures gone.
    (tmp_path / "other").mkdir()
    moved = (folder / "bar" / "3.png").rename(tmp_path / "other" / "x.png")
    answer = document(capsys, "predict", out, moved)["predictions"][0]
    assert set(answer["probabilities"]) == {"bar", "beam"}
    assert len(told_by(capsys, "predict", out, folder / "beam").out.splitlines()) == 20


def test_few_pictures_have_small_batches_and_many_epochs(tmp_path, capsys):
    assert command.run(["train", str(draw(tmp_path / "shapes")), "--dry-run"]) == 0
    err = capsys.readouterr().err
    assert "batch       8" in err and "at most 60" in err and "40 pictures, 8 x 8 x 1" in err


@pytest.mark.parametrize(
    ("kinds", "words"), [((), "no picture"), (("bar",), "one class"), (("bar", "beam"), "")]
)
def test_folders_that_teach_nothing_are_refused(kinds, words, tmp_path, capsys):
    folder = tmp_path / "shapes"
    folder.mkdir()
    draw(folder, kinds)
    if not words:
        code, err = refused(capsys, "train", folder, "--target", "bar")
        assert code == 2 and "--target is no setting of pictures" in err
        code, err = refused(capsys, "train", folder, "--task", "regress")
        assert code == 2 and "it can be used to classify" in err
        return
    code, err = refused(capsys, "train", folder, "--out", tmp_path / "run")
    assert code == 1 and words in err and "shapes" in err


@pytest.mark.parametrize("net", ["cnn", "8"])
def test_a_picture_is_explained_as_it_is_predicted(net, tmp_path, capsys):
    """Prepared alike, and compared with an empty picture of its median colour."""
    folder, out = draw(tmp_path / "shapes", side=11), tmp_path / "run"
    more = ["--size", "8", "--epochs", "2", "--out", out, "--quiet"]
    told_by(capsys, "train", folder, "--net", net, *more)
    file = folder / "beam" / "3.png"
    answer = document(capsys, "predict", out, file)["predictions"][0]
    line = ["explain", out, file, "--out", tmp_path / "why.png", "--json"]
    told = json.loads(told_by(capsys, *line).out)
    assert told["answer"] == answer["class"]
    assert told["value"] == pytest.approx(answer["probabilities"][answer["class"]], abs=1e-6)
    model = load_model(out)
    assert model.shift != 0
    raw = model.preparation.read(file).astype(np.float32)
    ends = (
        np.stack([raw, np.full_like(raw, np.median(raw))]) - np.float32(model.shift)
    ) / np.float32(model.scale)
    ends = ends if net == "cnn" else ends.reshape(2, -1)
    number = np.array([model.classes.index(told["answer"])])
    parts, _ = integrated_gradients(chance_of(model.network), ends[:1], ends[1], of=[number])
    for name, part in told["parts"].items():
        row, column = map(int, name.removeprefix("pixel ").split(","))
        assert part == pytest.approx(parts[0].reshape(8, 8)[row - 1, column - 1], abs=1e-6)
    # A folder has its pictures in the order of their names, as in predict.
    line = ["explain", out, folder / "beam", "--row", "4", "--out", tmp_path / "why.png", "--json"]
    fourth = document(capsys, "predict", out, folder / "beam")["predictions"][3]
    again = json.loads(told_by(capsys, *line).out)
    assert again["value"] == pytest.approx(max(fourth["probabilities"].values()), abs=1e-6)
    assert again["file"] == str(folder / "beam")


def test_a_row_of_a_table_that_names_pictures_is_explained(tmp_path, capsys):
    """Of its own picture, whatever rows before it have none; in the unit of the amounts."""
    folder, out = draw(tmp_path / "shapes"), tmp_path / "run"
    rows = [[f"{kind}/{i}.png", 10 + i] for kind in ("bar", "beam") for i in range(20)]
    table = write(folder / "table.csv", ["file", "price"], rows)
    told_by(capsys, "train", table, "--target", "price", *PICTURES[:4], "--quiet", "--out", out)
    new = write(folder / "new.csv", ["file"], [["gone.png"], ["bar/2.png"], ["beam/7.png"]])
    heat = ["--out", tmp_path / "why.png", "--json"]
    of_row = json.loads(told_by(capsys, "explain", out, new, "--row", "3", *heat).out)
    alone = json.loads(told_by(capsys, "explain", out, folder / "beam" / "7.png", *heat).out)
    assert of_row["row"] == 3 and of_row["unit"] == of_row["answer"] == "price"
    assert (of_row["value"], of_row["parts"]) == (alone["value"], alone["parts"])
    answers = read(told_by(capsys, "predict", out, new).out)
    assert of_row["value"] == pytest.approx(float(answers[2]["price"]), rel=1e-6)
    code, err = refused(capsys, "explain", out, new, "--row", "1")
    assert code == 1 and "no row 1 with a picture" in err and "gone.png" in err


def test_answers_never_replace_what_they_answer(flowers, tmp_path, capsys):
    file = tmp_path / "new.csv"
    file.write_bytes(flowers[0].read_bytes())
    code, err = refused(capsys, "predict", flowers[1], file, "--out", file)
    assert code == 2 and "new.csv is what is answered" in err
    assert file.read_bytes() == flowers[0].read_bytes()


def test_a_picture_of_parts_never_replaces_what_it_explains(tmp_path, capsys):
    folder, out = draw(tmp_path / "shapes"), tmp_path / "run"
    told_by(capsys, "train", folder, *PICTURES[:2], "--epochs", "1", "--quiet", "--out", out)
    file = folder / "bar" / "0.png"
    before = file.read_bytes()
    code, err = refused(capsys, "explain", out, file, "--out", file)
    assert code == 2 and "0.png is what is explained" in err
    assert file.read_bytes() == before


def test_a_folder_for_the_answers_that_is_not_there_is_named(flowers, tmp_path, capsys):
    out = tmp_path / "nowhere" / "a.csv"
    code, err = refused(capsys, "predict", flowers[1], flowers[0], "--out", out)
    assert code == 1 and f"{out}: cannot be written" in err and "Make the folder first" in err
