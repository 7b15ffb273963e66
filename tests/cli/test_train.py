"""train, predict and info on real digits: results on stdout, progress on stderr, no traceback."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid as package
from pellucid.cli import main as command
from pellucid.cli import options
from pellucid.cli.predict import whole_percent
from pellucid.data import load_digits
from pellucid.train import recipe

# The package that is tested here, also from another folder.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
SMALL = ["--net", "16", "--epochs", "4", "--lr", "0.01"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished small run: its folder and the document that --json printed."""
    folder = tmp_path_factory.mktemp("runs") / "digits-1"
    done = pellucid("train", "digits", *SMALL, "--json", "--out", str(folder))
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout), done.stderr


def pellucid(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pellucid", *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        **options,
    )


def test_the_names_in_the_help_are_those_of_the_recipe():
    assert set(options.DATA_SETS) == set(recipe.DATA_SETS)
    assert list(options.ACTIVATIONS) == list(recipe.HIDDEN_ACTIVATIONS)
    assert list(options.OPTIMIZERS) == list(recipe.OPTIMIZERS)
    assert list(options.SCHEDULES) == list(recipe.SCHEDULES) == list(recipe.WHY_SCHEDULE)


def test_json_is_one_document_with_what_a_program_needs(run):
    folder, result, _ = run
    assert result["run"] == str(folder)
    assert result["epochs"] == 4
    assert result["seconds"] > 0
    assert len(result["weights_sha256"]) == 64
    for part in ("train", "validation", "test"):
        assert result["metrics"][part]["loss"] > 0
        assert 0.5 < result["metrics"][part]["accuracy"] <= 1


def test_every_decision_is_told_with_its_option(run):
    _, _, told = run
    for word in (
        "1,797 rows",
        "64-16-10: as you said",
        "adamw",
        "(--batch)",
        "(--seed)",
        "epoch 4/4",
    ):
        assert word in told


def test_a_run_folder_holds_the_model_the_figures_and_the_curve(run):
    folder, result, _ = run
    for name in ("model.safetensors", "model.json", "metrics.json", "curve.png"):
        assert (folder / name).stat().st_size > 0
    stored = json.loads((folder / "metrics.json").read_text())
    assert stored["weights_sha256"] == result["weights_sha256"]
    with Image.open(folder / "curve.png") as picture:
        assert picture.size == (1920, 640)


def test_the_text_result_shows_accuracy_baseline_and_confusion(tmp_path):
    done = pellucid("train", "digits", *SMALL, "--quiet", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Held-out accuracy" in done.stdout
    assert "Always answering" in done.stdout
    assert "<- predicted" in done.stdout
    assert "runs/digits-1" in done.stdout
    assert pellucid("train", "digits", *SMALL, "--quiet", cwd=tmp_path).returncode == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["digits-1", "digits-2"]


def test_info_prints_layers_shapes_counts_and_settings(run, capsys):
    folder, result, _ = run
    assert command.run(["info", str(folder)]) == 0
    out = capsys.readouterr().out
    for word in ("64 x 16", "1,040", "1,210", "optimizer   adamw", result["weights_sha256"]):
        assert word in out  # 1,040 = 64 * 16 + 16; 1,210 = 1,040 + 16 * 10 + 10


def test_info_as_json_counts_the_same(run, capsys):
    assert command.run(["info", str(run[0]), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_parameters"] == sum(x["n_parameters"] for x in told["layers"]) == 1210


def test_predict_says_what_a_picture_shows(run, tmp_path, capsys):
    digits = load_digits()
    ink = digits.x[0].reshape(8, 8)
    Image.fromarray((255 - 255 * ink).astype(np.uint8)).save(tmp_path / "zero.png")
    assert command.run(["predict", str(run[0]), str(tmp_path / "zero.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("0: ")
    assert lines[0].endswith(" %")


def test_predict_reads_rows_with_their_classes(run, tmp_path, capsys):
    digits = load_digits()
    rows = np.column_stack([digits.x[:50] * 16, digits.y[:50]])
    np.savetxt(tmp_path / "rows.csv", rows, fmt="%d", delimiter=",")
    assert command.run(["predict", str(run[0]), str(tmp_path / "rows.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["predictions"]) == 50
    right = [p["class"] == p["true"] for p in told["predictions"]]
    assert sum(right) >= 40
    for p in told["predictions"]:
        # Rounded to six digits: ten roundings of half a millionth.
        assert sum(p["probabilities"].values()) == pytest.approx(1, abs=5e-6)
    assert command.run(["predict", str(run[0]), str(tmp_path / "rows.csv")]) == 0
    assert f"{sum(right)} of 50 right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.91, "91 %"), (1.0, ">99 %"), (0.996, ">99 %"), (0.001, "<1 %"), (0.054, "5 %")],
)
def test_probabilities_as_people_say_them(probability, text):
    assert whole_percent(probability) == text


def test_a_folder_that_holds_a_run_is_not_overwritten(run, capsys):
    assert command.run(["train", "digits", "--out", str(run[0]), "--quiet"]) == 1
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_number_of_threads_changes_no_bit(run, threads, tmp_path):
    arguments = ["train", "digits", *SMALL, "--json", "--quiet", "--threads", threads]
    done = pellucid(*arguments, "--out", str(tmp_path / "run"))
    assert json.loads(done.stdout)["weights_sha256"] == run[1]["weights_sha256"]


def test_a_folder_that_another_process_uses_is_refused(run, capsys):
    code = (
        "import sys; from pellucid.train.lock import RunLock\n"
        "with RunLock(sys.argv[1]): print('locked', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(run[0])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    with other:
        assert other.stdout.readline() == b"locked\n"
        assert command.run(["train", "digits", "--resume", "--out", str(run[0]), "--quiet"]) == 1
        other.stdin.close()
    assert f"process {other.pid}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["info", "nowhere"], 1, ["nowhere", "no such run folder"]),
        (["predict", "nowhere", "x.png"], 1, ["nowhere"]),
        (["train", "digits", "--resume"], 2, ["--out"]),
        (["train", "digits", "--resume", "--out", "nowhere"], 1, ["nowhere", "without --resume"]),
    ],
)
def test_mistakes_are_answered_in_a_sentence(arguments, code, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.run(arguments) == code
    err = capsys.readouterr().err
    for word in words:
        assert word in err
    assert "Traceback" not in err


def test_damaged_weights_name_the_file(run, tmp_path, capsys):
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).write_bytes((run[0] / name).read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert command.run(["info", str(tmp_path)]) == 1
    assert "model.safetensors" in capsys.readouterr().err


def test_a_file_that_is_no_picture_is_named(run, tmp_path, capsys):
    (tmp_path / "x.png").write_text("not a picture")
    assert command.run(["predict", str(run[0]), str(tmp_path / "x.png")]) == 1
    assert "x.png" in capsys.readouterr().err


def test_a_learning_rate_that_explodes_says_so_and_keeps_no_such_weights(tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["train", "digits", *SMALL[:4], "--lr", "1e30", "--optimizer", "sgd"]
    assert command.run([*arguments, "--out", str(out), "--quiet"]) == 1
    err = capsys.readouterr().err
    assert "step" in err
    assert "learning rate" in err
    assert not (out / "model.safetensors").exists()


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent to a process group there")
def test_ctrl_c_saves_says_how_to_go_on_and_the_end_has_the_same_bits(tmp_path):
    arguments = ["train", "digits", "--net", "16", "--epochs", "30", "--json"]
    whole = json.loads(pellucid(*arguments, "--out", str(tmp_path / "whole")).stdout)

    cut = tmp_path / "cut"
    process = subprocess.Popen(
        [sys.executable, "-m", "pellucid", *arguments, "--out", str(cut)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    while process.poll() is None and not (cut / "run.json").exists():
        time.sleep(0.005)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("the run ended before the signal came")
    # -SIGINT: CPython's way out when the signal met an `exec` inside a library's import; a shell says 130 too.
    assert process.returncode in (130, -signal.SIGINT)
    assert f"--resume --out {cut}" in told
    assert "Traceback" not in told

    resumed = pellucid("train", "digits", "--resume", "--out", str(cut), "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["weights_sha256"] == whole["weights_sha256"]
