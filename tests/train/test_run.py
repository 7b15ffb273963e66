"""A run folder: what is in it, how it goes on, how it is read again, what is refused."""

import json
import shutil

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid.base.errors import FormatError, OptionError, RunError
from pellucid.data import load_digits
from pellucid.formats import safetensors
from pellucid.tensor.tensor import Tensor
from pellucid.train.events import EpochDone, Finished, Started
from pellucid.train.folder import free_folder
from pellucid.train.metrics import Metrics, accuracy, confusion, confusion_text, majority_baseline
from pellucid.train.recipe import HIDDEN_ACTIVATIONS, OPTIMIZERS, recipe
from pellucid.train.run import train_run
from pellucid.train.saved import load_model, save_model, weights_sha256

SMALL = {"net": (16,), "epochs": 4}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a"
    events = list(train_run(recipe("digits", **SMALL), folder))
    return folder, events


def test_a_run_writes_its_folder_and_its_result(finished):
    folder, events = finished
    assert isinstance(events[0], Started) and isinstance(events[-1], Finished)
    result = events[-1].result
    assert {"run", "seconds", "epochs", "weights_sha256", "metrics"} <= set(result)
    for part in ("train", "validation", "test"):
        assert set(result["metrics"][part]) >= {"loss", "accuracy"}
    names = {f.name for f in folder.iterdir()}
    assert names == {
        "run.json",
        "checkpoint.safetensors",
        "model.safetensors",
        "model.json",
        "metrics.json",
        "report.html",
        "tensorboard",
        "lock",
    }
    stored = json.loads((folder / "metrics.json").read_text())
    assert (
        stored["metrics"] == result["metrics"] and len(stored["history"]) == result["epochs"] == 4
    )
    assert np.sum(result["confusion"]) == result["metrics"]["test"]["n"] == 359


def test_a_saved_model_gives_the_same_answers(finished):
    folder, events = finished
    model = load_model(folder)
    assert model.weights_sha256 == events[-1].result["weights_sha256"]
    assert model.classes == tuple("0123456789") and model.shape == (8, 8) and model.scale == 16
    data = load_digits()
    made = recipe("digits", **SMALL)
    parts = made.split(data)
    p = model.predict(data.x[parts.test])
    assert (
        accuracy(data.y[parts.test], p.argmax(1))
        == events[-1].result["metrics"]["test"]["accuracy"]
    )


def test_the_same_recipe_gives_the_same_weights_and_resume_of_a_finished_run_too(
    finished, tmp_path
):
    _, events = finished
    again = list(train_run(recipe("digits", **SMALL), tmp_path / "b", checkpoint_seconds=0))
    assert again[-1].result["weights_sha256"] == events[-1].result["weights_sha256"]
    resumed = list(train_run(recipe("digits"), tmp_path / "b", resume=True))
    assert resumed[-1].result["weights_sha256"] == events[-1].result["weights_sha256"]
    assert not any(isinstance(e, EpochDone) for e in resumed)


def test_a_broken_run_goes_on_from_its_folder_alone(finished, tmp_path):
    _, events = finished
    running = train_run(recipe("digits", **SMALL), tmp_path / "c", checkpoint_seconds=0)
    for event in running:
        if isinstance(event, EpochDone) and event.epoch == 2:
            break
    running.close()
    with pytest.raises(FormatError, match=r"not finished; to go on with it: .* --resume --out"):
        load_model(tmp_path / "c")
    resumed = list(train_run(recipe("digits"), tmp_path / "c", resume=True))
    assert resumed[0].epoch == 2
    assert resumed[-1].result["weights_sha256"] == events[-1].result["weights_sha256"]


def test_a_run_killed_before_its_first_checkpoint_begins_again(finished, tmp_path):
    _, events = finished
    running = train_run(recipe("digits", **SMALL), tmp_path / "d")
    next(running)
    running.close()
    (tmp_path / "d" / "checkpoint.safetensors").unlink(missing_ok=True)
    resumed = list(train_run(recipe("digits"), tmp_path / "d", resume=True))
    assert resumed[-1].result["weights_sha256"] == events[-1].result["weights_sha256"]


def test_folders_that_cannot_be_used_are_named(finished, tmp_path):
    folder, _ = finished
    with pytest.raises(RunError, match="holds a run already"):
        list(train_run(recipe("digits", **SMALL), folder))
    with pytest.raises(RunError, match="no run to continue"):
        list(train_run(recipe("digits"), tmp_path / "none", resume=True))
    with pytest.raises(RunError, match="learns from digits, not from text"):
        list(train_run(recipe("text"), folder, resume=True))
    with pytest.raises(RunError, match="started with seed = 0, not 3"):
        list(train_run(recipe("digits", seed=3), folder, resume=True))
    running = train_run(recipe("digits", **SMALL), tmp_path / "busy")
    next(running)
    try:
        with pytest.raises(RunError, match="is using this run folder"):
            list(train_run(recipe("digits", **SMALL), tmp_path / "busy", resume=True))
    finally:
        running.close()
    assert free_folder(tmp_path, "x").name == "x-1"
    (tmp_path / "x-1").mkdir()
    assert free_folder(tmp_path, "x").name == "x-2"


def test_damaged_models_are_named(finished, tmp_path):
    folder = tmp_path / "m"

    def damaged(words, change):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(finished[0], folder)
        change()
        with pytest.raises(FormatError, match=words):
            load_model(folder)

    def json_change(**changes):
        model = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**model, **changes}))

    def weights_change(name, value):
        tensors, metadata = safetensors.load(folder / "model.safetensors")
        safetensors.save(folder / "model.safetensors", {**tensors, name: value}, metadata)

    damaged(
        "model.safetensors: there is no such file", lambda: (folder / "model.safetensors").unlink()
    )
    damaged("holds no model.json", lambda: (folder / "model.json").unlink())
    damaged(
        "too few|header length", lambda: (folder / "model.safetensors").write_bytes(b"12345678")
    )
    damaged("not valid JSON", lambda: (folder / "model.json").write_text("{"))
    damaged("kind 'Lambda' is unknown", lambda: json_change(layers=[{"kind": "Lambda"}]))
    damaged("'input.shape'", lambda: json_change(input={"shape": "8x8", "shift": 0, "scale": 16}))
    damaged("'input.scale'", lambda: json_change(input={"shape": [8, 8], "shift": 0, "scale": 0}))
    damaged("'output.classes' must be", lambda: json_change(output={"classes": [1]}))
    damaged(
        "has 2 names; the network has 10 outputs",
        lambda: json_change(output={"classes": ["a", "b"]}),
    )
    damaged("'settings.task' is 'sing'; known", lambda: json_change(settings={"task": "sing"}))
    damaged("does not take", lambda: json_change(settings={"task": "generate"}))
    damaged(
        "more than 16,777,216 numbers",
        lambda: json_change(input={"shape": [9999, 9999], "shift": 0, "scale": 1}),
    )
    damaged("does not take", lambda: json_change(input={"shape": [8, 9], "shift": 0, "scale": 16}))
    damaged(
        "needs a weight '0.weight'",
        lambda: weights_change("0.weight", np.zeros((3, 3), np.float32)),
    )
    damaged("not in the network extra", lambda: weights_change("extra", np.zeros(1)))
    with pytest.raises(FormatError, match="no such run folder"):
        load_model(tmp_path / "nowhere")


def test_weights_can_be_saved_as_pytorch_stores_them(tmp_path):
    network = recipe("digits", net=(5,)).network(load_digits())
    save_model(tmp_path, network, load_digits(), {}, layout="pytorch")
    stored, metadata = safetensors.load(tmp_path / "model.safetensors")
    assert stored["0.weight"].shape == (5, 64) and metadata["format"] == "pt"
    assert load_model(tmp_path).weights_sha256 == weights_sha256(network.state_dict())


# The recipe


def test_every_decision_has_a_value_a_reason_and_shows_what_was_given():
    made = recipe("digits", lr=0.01, net=(32,))
    data = made.dataset()
    decisions = {d.name: d for d in made.decisions(data, made.split(data))}
    assert all(d.value and d.reason for d in decisions.values())
    assert decisions["lr"].is_given and decisions["net"].is_given and not decisions["seed"].is_given
    assert decisions["net"].value == "64-32-10" and decisions["lr"].option == "--lr"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": "digits", "net": "cnn"}, {"width": "filters of the first layer"}),
        ({"data": "digits", "net": "cnn", "task": "classify"}, {"dropout": "so many values"}),
        ({"data": "animals", "net": "committee"}, {"width": "neurons of the first layer of each"}),
        ({"data": "series"}, {"width": "from place to place", "dropout": "nothing is dropped"}),
    ],
)
def test_a_setting_is_explained_as_this_network_uses_it(given, words):
    made = recipe(**given)
    data = made.dataset()
    reasons = {d.name: d.reason for d in made.decisions(data, made.split(data))}
    assert all(word in reasons[name] for name, word in words.items()), reasons


@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_activation_and_optimizer_of_the_recipe_makes_a_network(activation, optimizer):
    made = recipe("digits", activation=activation, optimizer=optimizer, net=(8, 4))
    network = made.network(made.dataset())
    assert [type(x).__name__ for x in network].count("Linear") == 3
    assert made.make_optimizer(network).lr == made.lr == OPTIMIZERS[optimizer].lr


def test_no_hidden_layer_is_logistic_regression():
    made = recipe("digits", net=())
    assert len(made.network(made.dataset())) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": "digit"}, "Did you mean 'digits'"),
        ({"activaton": "relu"}, "Did you mean 'activation'"),
        ({"optimizer": "adamx"}, "Did you mean 'adam"),
        ({"net": (64, 0)}, "widths of 1 or more"),
    ],
)
def test_unknown_settings_suggest_the_nearest(given, words):
    with pytest.raises(OptionError, match=words):
        recipe(**{"data": "digits", **given})


# Metrics


def test_metrics_by_hand():
    truth, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 2, 0])
    assert accuracy(truth, predicted) == 4 / 6 and accuracy(truth[:0], predicted[:0]) == 0.0
    table = confusion(truth, predicted, 3)
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    assert majority_baseline(truth, np.array([2, 2, 0, 1])) == (2, 0.5)
    assert majority_baseline(np.array([1, 0]), np.array([0]))[0] == 0
    assert confusion_text(table, ["a", "b", "c"]) == (
        "true  a b c  <- predicted\n   a  1 1 .\n   b  . 1 .\n   c  1 . 2"
    )
    assert Metrics(0.5, None, 3).as_dict() == {"loss": 0.5, "n": 3}


def test_a_network_of_the_recipe_starts_with_scores_near_zero_and_equal_chances():
    made = recipe("digits")
    data = made.dataset()
    network = made.network(data)
    loss = nn.cross_entropy(network(Tensor(data.x)), Tensor(data.y)).item()
    assert loss == pytest.approx(np.log(10), abs=0.6)


def test_the_number_of_threads_does_not_change_the_weights(tmp_path):
    from pellucid.tensor import engine

    if engine.name() != "compiled":
        pytest.skip("NumPy's own threads are not ours to set")
    from pellucid.runtime.team import get_threads, set_threads

    before = get_threads()
    found = set()
    try:
        for n in (1, 2, 3, 4):
            set_threads(n)
            made = recipe("digits", net=(64, 48), epochs=2)
            found.add(list(train_run(made, tmp_path / str(n)))[-1].result["weights_sha256"])
    finally:
        set_threads(before)
    assert len(found) == 1
