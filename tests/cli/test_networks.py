"""Every network of the command line: trained, told, stored, asked again; a few steps each."""

import json
import os
import random as chance
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import document, told_by
from PIL import Image

import pellucid as package
from pellucid.base.errors import FormatError
from pellucid.cli import main as command
from pellucid.cli import options
from pellucid.data import load_digits, load_series
from pellucid.data.text import read_alice
from pellucid.formats.model_json import read_json
from pellucid.train.networks import NETWORKS, OBJECTIVE_OF
from pellucid.train.objectives import OBJECTIVES
from pellucid.train.saved import load_model

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
TEXT = ["text", "--width", "16", "--layers", "1", "--window", "16", "--batch", "256", "--epochs", "1"]  # fmt: skip
RUNS = {
    "cnn": ["digits", "--net", "cnn", "--width", "4", "--epochs", "3"],
    "gan": ["digits", "--task", "generate", "--width", "2", "--epochs", "3"],
    "gpt": [*TEXT, "--lr", "0.01"],
    "lstm": [*TEXT, "--net", "lstm", "--lr", "0.01"],
    "gru": ["series", "--width", "6", "--epochs", "4", "--window", "13"],
}


def pellucid(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pellucid", *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """name -> (folder, result of --json, what was told), each trained when first asked for."""
    made = {}
    base = tmp_path_factory.mktemp("runs")

    def run(name):
        if name not in made:
            done = pellucid("train", *RUNS[name], "--json", "--out", str(base / name))
            assert done.returncode == 0, done.stderr
            made[name] = base / name, json.loads(done.stdout), done.stderr
        return made[name]

    return run


def test_the_names_in_the_help_are_those_of_the_tables():
    assert list(options.TASKS) == list(NETWORKS) == list(OBJECTIVE_OF)
    assert set(options.NETWORKS) == {name for rows in NETWORKS.values() for name in rows}
    assert set(OBJECTIVE_OF.values()) <= set(OBJECTIVES)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_tells_every_decision_and_writes_its_folder(name, runs):
    folder, result, told = runs(name)
    for word in ("data ", "net ", "loss ", "optimizer ", "lr ", "seed ", "(--lr)"):
        if word != "(--lr)" or "--lr" not in RUNS[name]:
            assert word in told, word
    assert f"epoch {result['epochs']}/{result['epochs']}" in told
    for file in ("model.safetensors", "model.json", "metrics.json", "curve.png", "run.json"):
        assert (folder / file).stat().st_size > 0
    assert len(result["weights_sha256"]) == 64 and result["settings"]["task"] in NETWORKS
    assert (folder / "forecast.png").exists() == (name == "gru")
    assert (folder / "samples").exists() == (name == "gan")


@pytest.mark.parametrize("name", RUNS)
def test_a_network_is_rebuilt_from_its_files_alone(name, runs):
    folder, result, _ = runs(name)
    model = load_model(folder)
    assert model.weights_sha256 == result["weights_sha256"]
    assert not model.network.training
    assert model.network.n_parameters <= result["n_parameters"]
    kinds = [layer["kind"] for layer in read_json(folder / "model.json")["layers"]]
    assert {"gpt": "GPT", "lstm": "CharRNN", "gru": "Forecaster"}.get(name, "Conv2d") in kinds


@pytest.mark.parametrize("name", RUNS)
def test_info_says_what_goes_in_and_what_comes_out(name, runs, capsys):
    folder, result, _ = runs(name)
    out = told_by(capsys, "info", folder).out
    words = {
        "cnn": ["8 x 8 x 1 numbers", "10 classes", "Conv2d", "accuracy"],
        "gan": ["64 numbers of noise", "a picture", "ConvTranspose2d"],
        "gpt": ["up to 16 characters of 70 kinds", "perplexity", "characters"],
        "lstm": ["up to 16 characters of 70 kinds", "perplexity", "LSTM"],
        "gru": ["13 values", "the change to the next value", "GRU"],
    }[name]
    for word in (*words, result["weights_sha256"], "settings"):
        assert word in out, word
    found = document(capsys, "info", folder)
    assert found["n_parameters"] == sum(x["n_parameters"] for x in found["layers"])


@pytest.mark.parametrize(
    ("name", "part", "field", "value", "words"),
    [
        ("gpt", "input", "shape", [17], "does not take"),  # it has learned 16 positions
        ("gpt", "input", "shape", [], "does not take"),
        ("gpt", "output", "classes", ["a", "b"], "has 2 names; the network has 70 outputs"),
        ("lstm", "settings", "task", "forecast", "does not take|no answer"),
        ("gru", "input", "shape", [13, 2], "does not take"),
        ("gru", "output", "step", 0, "field 'output.step' is '0'"),
        ("gru", "input", "scale", "x", "field 'input.scale'"),
        ("gan", "input", "shape", [63], "does not take"),
        ("gan", "settings", "task", "classify", "10 names; the network has 1 outputs"),
        ("gan", "settings", "task", "continue", "10 names; the network has 1 outputs"),
        ("gan", "settings", "task", "forecast", "no answer to that"),
        ("cnn", "input", "shape", [8, 8], "does not take"),
    ],
)  # fmt: skip
def test_a_damaged_description_is_named(name, part, field, value, words, runs, tmp_path):
    folder, _, _ = runs(name)
    shutil.copy(folder / "model.safetensors", tmp_path)
    model = read_json(folder / "model.json")
    model[part][field] = value
    (tmp_path / "model.json").write_text(json.dumps(model))
    with pytest.raises(FormatError, match=words):
        load_model(tmp_path)


# What the report says


def test_a_text_is_reported_beside_counting(runs):
    _, result, _ = runs("lstm")
    test, baseline = result["metrics"]["test"], result["baseline"]
    assert test["perplexity"] == pytest.approx(np.exp(test["loss"]))
    # 2.46 and 3.16 nats: what counting gives on the last tenth of the text
    assert baseline["bigram"]["loss"] == pytest.approx(2.464, abs=2e-3)
    assert baseline["unigram"]["loss"] == pytest.approx(3.164, abs=2e-3)
    assert test["loss"] < baseline["unigram"]["loss"]  # after 29 steps
    assert test["n"] == (int(148_394 * 0.1 + 0.5) - 1) // 16 * 16


def test_a_series_is_reported_beside_persistence_and_an_autoregression(runs):
    _, result, _ = runs("gru")
    values = load_series().values
    truth = values[-146:]
    assert result["test"]["truth"] == truth.tolist()
    assert result["test"]["times"][-1] == "2010-12"
    error = np.array(result["test"]["forecast"]) - truth
    assert result["forecast"]["mae"] == pytest.approx(np.abs(error).mean())
    assert result["forecast"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    step = values[-147:-1] - truth
    persistence = result["baseline"]["persistence"]
    assert persistence["mae"] == pytest.approx(np.abs(step).mean())
    assert result["forecast"]["rmse"] < persistence["rmse"]
    assert 1 <= result["baseline"]["autoregression"]["order"] <= 13
    assert result["metrics"]["test"]["n"] == 146
    ahead = {e["steps"]: e for e in result["mae_ahead"]}
    assert list(ahead) == [1, 3, 6, 12]
    assert ahead[1]["forecast"] == result["forecast"]["mae"]
    # Saying the last value again three months on: the value before the test part is for its third.
    three = np.abs(values[-147:-3] - values[-144:]).mean()
    assert ahead[3]["persistence"] == pytest.approx(three)


def test_made_pictures_are_reported_beside_real_and_mixed_ones(runs):
    _, result, _ = runs("gan")
    made, baseline = result["pictures"], result["baseline"]
    assert sum(made["per_class"]) == made["n"] == 500
    for scores in (made, baseline["real"], baseline["mixed_pixels"]):
        assert 0 <= scores["precision"] <= 1 and 0 <= scores["coverage"] <= 1
    assert baseline["real"]["precision"] > 0.8 and baseline["mixed_pixels"]["precision"] < 0.1
    assert result["metrics"] == {}


def test_reports_for_people_name_their_baselines(tmp_path):
    words = {
        "cnn": ["Held-out accuracy", "Always answering", "<- predicted"],
        "gan": ["made pictures among real ones", "held-out real pictures", "Nearest to a 0:"],
        "gru": ["the last value again", "autoregression of", "RMSE", "°C"],
    }
    for name, wanted in words.items():
        done = pellucid("train", *RUNS[name], "--epochs", "1", "--quiet", "--out", str(tmp_path / name))  # fmt: skip
        assert done.returncode == 0 and done.stderr == "", done.stderr
        for word in wanted:
            assert word in done.stdout, word


def test_the_warning_stands_apart_and_has_the_words_of_the_lines_above_it():
    from pellucid.cli.results import report
    from pellucid.train.events import Finished

    counted = {
        "unigram": {"loss": 3.0, "perplexity": 20.1},
        "bigram": {"loss": 2.0, "perplexity": 7.4},
    }
    test = {"loss": 2.5, "perplexity": 12.2, "accuracy": 0.3, "n": 100}
    result = {"metrics": {"test": test}, "baseline": counted, "settings": {"task": "continue"}, "best_epoch": 1,
              "epochs": 1, "seconds": 1.0}  # fmt: skip
    lines = report(Finished("runs/t-1", result)).splitlines()
    assert lines[-3:-1] == ["", "Warning: not better than counting pairs of characters."]


def test_a_network_that_does_not_beat_its_baselines_says_so():
    from pellucid.cli.results import warning

    assert warning(2.0, {"bigram": 2.4, "unigram": 3.1}) == []
    assert warning(2.4, {"bigram": 2.4, "unigram": 3.1}) == ["Warning: not better than bigram."]
    assert (
        "persistence and autoregression" in warning(9, {"persistence": 1, "autoregression": 2})[0]
    )


# Asked again


def test_the_sheets_of_samples_are_one_an_epoch_from_the_same_noise(runs):
    folder, _, _ = runs("gan")
    sheets = sorted((folder / "samples").glob("epoch-*.png"))
    assert [s.name for s in sheets] == [f"epoch-{i:04}.png" for i in (1, 2, 3)]
    pictures = []
    for sheet in sheets:
        with Image.open(sheet) as picture:
            pictures.append(np.asarray(picture))
    assert pictures[0].shape == (8 * 34 + 2, 8 * 34 + 2)  # 8 x 4 pixels each, and gaps of 2
    assert (pictures[0] != pictures[2]).any()


def test_generate_makes_pictures_that_follow_from_the_seed(runs, tmp_path, capsys):
    folder, _, _ = runs("gan")
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        line = ["generate", folder, "--n", 3, "--seed", seed, "--out", tmp_path / name]
        assert "3 pictures" in told_by(capsys, *line).out
    a, b, c = ((tmp_path / f"{n}.png").read_bytes() for n in "abc")
    assert a == b != c
    with Image.open(tmp_path / "a.png") as picture:  # each beside the nearest real one
        assert picture.size == (6 * 34 + 2, 34 + 2)
    found = document(capsys, "generate", folder)
    assert found["n"] == 16 and Path(found["file"]).suffix == ".html"


@pytest.mark.parametrize("name", ["gpt", "lstm"])
def test_sample_writes_on_from_a_prompt(name, runs, capsys):
    folder, _, _ = runs(name)
    arguments = ["sample", folder, "--prompt", "Alice said", "--length", 40, "--json"]
    first = json.loads(told_by(capsys, *arguments).out)
    assert first["prompt"] == "Alice said" and len(first["text"]) == 40
    assert set(first["text"]) <= set(read_alice())
    assert json.loads(told_by(capsys, *arguments).out) == first
    assert json.loads(told_by(capsys, *arguments, "--seed", 1).out)["text"] != first["text"]
    greedy = json.loads(told_by(capsys, *arguments, "--temperature", 0).out)["text"]
    for option in (["--top-k", 1], ["--top-p", 1e-9]):  # only the likeliest is left
        assert json.loads(told_by(capsys, *arguments, *option).out)["text"] == greedy
    plain = told_by(capsys, "sample", folder, "--prompt", "Alice said", "--length", 40).out
    assert plain == "Alice said" + first["text"] + "\n"
    assert len(told_by(capsys, "sample", folder, "--length", 3).out) >= 3


def test_sample_shows_the_probabilities_of_what_may_come(runs, capsys):
    folder, _, _ = runs("lstm")
    arguments = ["sample", folder, "--prompt", "Alice", "--probabilities"]
    found = document(capsys, *arguments, "--top-k", 3)["next"]
    assert len(found) == 10
    assert [x["probability"] for x in found] == sorted((x["probability"] for x in found), reverse=True)  # fmt: skip
    assert sum(x["chance"] for x in found[:3]) == pytest.approx(1, abs=5e-6)
    assert all(x["chance"] == 0 for x in found[3:])
    # The first is what `predict` of a file with the same text says.
    out = told_by(capsys, *arguments).out
    assert "chance of being drawn" in out and repr(found[0]["character"]) in out


def test_predict_says_how_well_a_text_is_foreseen(runs, tmp_path, capsys):
    folder, result, _ = runs("lstm")
    text = read_alice()
    (tmp_path / "end.txt").write_text(text[-3000:], encoding="utf-8")
    (tmp_path / "odd.txt").write_text("".join(sorted(text[-3000:])), encoding="utf-8")
    arguments = ["predict", folder, tmp_path / "end.txt", tmp_path / "odd.txt"]
    end, odd = document(capsys, *arguments)["predictions"]
    assert end["loss"] == pytest.approx(result["metrics"]["test"]["loss"], abs=0.15)
    assert end["n"] == 2999 // 16 * 16 and len(end["next"]) == 3
    assert odd["loss"] != end["loss"] and end["perplexity"] == pytest.approx(np.exp(end["loss"]))
    assert "nats a character" in told_by(capsys, *arguments).out


def test_predict_forecasts_the_next_values(runs, tmp_path, capsys):
    folder, result, _ = runs("gru")
    found = document(capsys, "predict", folder, "--steps", 4)["predictions"][0]
    assert found["after"] == "2010-12" and found["unit"] == "°C" and len(found["forecast"]) == 4
    # A file with the values before the last: the forecast is the one that the test part had.
    series = load_series()
    lines = "month,celsius\n" + "\n".join(
        f"{t},{v}" for t, v in zip(series.times[:-1], series.values[:-1], strict=True)
    )
    (tmp_path / "s.csv").write_text(lines)
    one = document(capsys, "predict", folder, tmp_path / "s.csv")
    assert one["predictions"][0]["after"] == "2010-11"
    ours = one["predictions"][0]["forecast"][0]
    assert ours == pytest.approx(result["test"]["forecast"][-1], rel=1e-6)
    # Further steps go on from the forecast itself.
    (tmp_path / "t.csv").write_text(lines + f"\n2010-12,{ours!r}\n")
    two = document(capsys, "predict", folder, tmp_path / "s.csv", "--steps", 2)
    again = document(capsys, "predict", folder, tmp_path / "t.csv")
    assert two["predictions"][0]["forecast"][1] == pytest.approx(
        again["predictions"][0]["forecast"][0], rel=1e-12
    )
    assert "series, after 2010-12:" in told_by(capsys, "predict", folder).out


def test_predict_sees_a_digit_with_a_cnn(runs, tmp_path, capsys):
    folder, _, _ = runs("cnn")
    digits = load_digits()
    rows = np.column_stack([digits.x[:60] * 16, digits.y[:60]])
    np.savetxt(tmp_path / "rows.csv", rows, fmt="%d", delimiter=",")
    found = document(capsys, "predict", folder, tmp_path / "rows.csv")
    model = load_model(folder)
    p = model.predict(digits.x[:60])
    assert [x["class"] for x in found["predictions"]] == [str(i) for i in p.argmax(1)]
    Image.fromarray((digits.x[0].reshape(8, 8) * 255).astype(np.uint8)).save(tmp_path / "0.png")
    assert told_by(capsys, "predict", folder, tmp_path / "0.png").out.count("%") == 3


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "digits", "--task", "forecast"], ["digits cannot be used to forecast", "classify"]),
        (["train", "digits", "--net", "gpt"], ["network to classify digits 'gpt'", "mlp, cnn"]),
        (["train", "digits", "--net", "cn"], ["Did you mean 'cnn'"]),
        (["train", "text", "--net", "128-64"], ["one of gpt, gru, lstm, rnn"]),
        (["train", "text", "--net", "lsmt"], ["Did you mean 'lstm'"]),
        (["train", "tex"], ["Did you mean 'text'"]),
        (["train", "text", "--activation", "relu"], ["--activation is no setting of the network gpt"]),
        (["train", "digits", "--width", "8"], ["--width is no setting of the network mlp"]),
        (["train", "digits", "--net", "cnn", "--window", "8"], ["--window is no setting", "--width"]),
        (["train", "text", "--window", "0"], ["--window"]),
        (["train", "text", "--dropout", "1"], ["--dropout"]),
        (["train", "text", "--resume"], ["--out runs/text-1"]),
        (["train", "text", "--schedule", "cosin"], ["Did you mean 'cosine'"]),
    ],
)  # fmt: skip
def test_a_slip_exits_2_and_says_what_is_possible(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.run(arguments) == 2
    err = capsys.readouterr().err
    for word in words:
        assert word in err
    assert "Traceback" not in err and not list(tmp_path.iterdir())


def test_a_schedule_is_not_stretched_when_a_run_goes_on(runs, capsys):
    folder, _, _ = runs("gpt")
    assert command.run(["train", "text", "--resume", "--out", str(folder), "--epochs", "9"]) == 1
    assert "follows a schedule over 1 epochs, which cannot become 9" in capsys.readouterr().err


def test_a_window_that_is_longer_than_the_data_exits_1(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.run(["train", "series", "--window", "500"]) == 1
    assert "shorter --window" in capsys.readouterr().err
    assert command.run(["train", "text", "--window", "140000"]) == 1
    assert "shorter --window" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("gan", ["predict", "RUN", "x.png"], 2, ["makes pictures", "pellucid generate"]),
        ("gan", ["sample", "RUN", "--prompt", "Alice"], 2, ["writes no text", "pellucid generate"]),
        ("gan", ["generate", "RUN", "--out", "x.jpg"], 2, ["x.jpg", ".html or .png"]),
        ("lstm", ["generate", "RUN"], 2, ["makes no pictures", "pellucid sample"]),
        ("lstm", ["sample", "RUN", "--prompt", "Ωmega"], 1, ["--prompt, character 1", "'Ω'"]),
        ("lstm", ["predict", "RUN"], 2, ["a file is missing"]),
        ("lstm", ["predict", "RUN", "none.txt"], 1, ["none.txt: there is no such file"]),
        ("lstm", ["predict", "RUN", "x.png", "--steps", "3"], 2, ["--steps belongs to forecasts"]),
        ("lstm", ["sample", "RUN", "--top-p", "0"], 2, ["--top-p"]),
        ("gru", ["sample", "RUN"], 2, ["trained to forecast", "pellucid predict"]),
        ("gru", ["predict", "RUN", "short.csv"], 1, ["3 values", "looks back at 13"]),
        ("cnn", ["predict", "RUN"], 2, ["a file is missing"]),
    ],
)
def test_a_question_that_does_not_fit_is_answered_in_a_sentence(
    name, arguments, code, words, runs, capsys, tmp_path, monkeypatch
):
    folder, _, _ = runs(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.csv").write_text("1\n2\n3\n")
    assert command.run([str(folder) if a == "RUN" else a for a in arguments]) == code
    err = capsys.readouterr().err
    for word in words:
        assert word in err, err
    assert "Traceback" not in err


# Killed


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
@pytest.mark.parametrize("name", ["gan", "gpt"])
def test_kill_minus_9_resume_and_the_folder_is_the_same(name, runs, tmp_path):
    folder, result, _ = runs(name)
    moments = chance.Random(3)
    out = tmp_path / "run"
    document = ""
    for kills in range(3):
        how = ["--resume"] if (out / "run.json").exists() else RUNS[name][1:]
        command_line = [sys.executable, "-m", "pellucid", "train", RUNS[name][0], *how]
        child = subprocess.Popen(
            [*command_line, "--json", "--quiet", "--out", str(out)],
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        try:
            document, _ = child.communicate(timeout=moments.uniform(1.0, 2.5) if kills < 2 else 120)
            break
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.communicate()
    resumed = json.loads(document)
    assert resumed["weights_sha256"] == result["weights_sha256"]
    for sheet in (folder / "samples").glob("epoch-*.png") if name == "gan" else ():
        assert (out / "samples" / sheet.name).read_bytes() == sheet.read_bytes()
