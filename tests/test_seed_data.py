"""Rows of table S that need data, one test each, as a person would try them: at the command line.

Data are small and made here, or carried by the package; real ones are read from the folder PELLUCID_DATA where it is
there."""

import csv
import hashlib
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid import optim
from pellucid.cli.main import run as command
from pellucid.data import Dataset, Split
from pellucid.data.animals import ANIMALS
from pellucid.tensor import random
from pellucid.tensor.tensor import Tensor
from pellucid.train.evaluation import predict
from pellucid.train.loop import Options, fit
from pellucid.train.recipe import recipe

DATA = Path(os.environ.get("PELLUCID_DATA", "no such folder"))


@pytest.fixture
def tell(capsys):
    """tell(*words of a command, code=0) -> (standard output, standard error)."""

    def told(*words, code=0) -> tuple[str, str]:
        capsys.readouterr()
        found = command([str(w) for w in words])
        out, err = capsys.readouterr()
        assert found == code, err
        assert "Traceback" not in err
        return out, err

    return told


def write(path, names, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def house_rows(n=142, seed=0):
    """area, rooms, age, garden, quarter, heating, floor, price: 5 numbers, 2 categories, an amount of euros."""
    rng = np.random.default_rng(seed)
    quarter = rng.integers(0, 3, n)
    area, rooms, age = rng.uniform(40, 200, n), rng.integers(1, 8, n), rng.uniform(0, 90, n)
    garden, floor = rng.uniform(0, 300, n), rng.integers(0, 21, n)
    price = 1500 * area + 40_000 * quarter - 500 * age + 100 * garden + 5000 * rng.normal(size=n)
    heating = rng.integers(0, 2, n)
    return [
        [
            f"{a:.1f}",
            r,
            f"{y:.1f}",
            f"{g:.1f}",
            ("old", "new", "park")[q],
            ("gas", "heat pump")[h],
            f,
            f"{p:.0f}",
        ]
        for a, r, y, g, q, h, f, p in zip(
            area, rooms, age, garden, quarter, heating, floor, price, strict=True
        )
    ]


HOUSES = ["area", "rooms", "age", "garden", "quarter", "heating", "floor", "price"]
QUICK = ["--net", "32", "--lr", "0.01", "--epochs", "30"]


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    return write(tmp_path_factory.mktemp("houses") / "houses.csv", HOUSES, house_rows())


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """A run of the animals that the package carries, by its defaults."""
    run = tmp_path_factory.mktemp("animals") / "animals-1"
    assert command(["train", "animals", "--quiet", "--out", str(run)]) == 0
    return run


def result_of(run) -> dict:
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


# A, B: inputs and outputs


def test_S_A4_trunk_and_tusks_count_more_than_legs(animals, tell):
    sizes = json.loads(tell("explain", animals, "animals", "--json")[0])["mean_size"]
    assert sizes["legs"] < min(sizes["trunk"], sizes["tusks"])
    assert json.loads(tell("explain", animals, ANIMALS, "--json")[0])["mean_size"] == sizes
    out = tell("explain", animals, "animals")[0].splitlines()
    order = [line.split()[0] for line in out[1:]]
    assert order.index("legs") > max(order.index("trunk"), order.index("tusks"))


def test_S_B1_one_verb_takes_every_kind_of_input_and_says_what_it_decided(houses, tmp_path, tell):
    err = tell("train", houses, "--target", "price", "--dry-run")[1]
    for words in (
        "142 rows of 8 columns",
        "price",
        "regress",
        "(--task)",
        "quarter, heating",
        "(--column)",
    ):
        assert words in err
    text = tmp_path / "rhyme.txt"
    text.write_text("Round and round the garden like a teddy bear.\n" * 20)
    assert "characters of" in tell("train", text, "--width", "8", "--layers", "1", "--dry-run")[1]
    days = np.arange("2024-01-01", "2024-04-10", dtype="M8[D]")
    series = write(tmp_path / "s.csv", ["day", "close"], [[d, i % 7] for i, d in enumerate(days)])
    err = tell("train", series, "--task", "forecast", "--target", "close", "--dry-run")[1]
    assert "2024-01-01 to 2024-04-09" in err
    from PIL import Image

    for kind in ("round", "square"):
        (tmp_path / "shapes" / kind).mkdir(parents=True)
        for i in range(12):
            ink = np.zeros((16, 16), np.uint8)
            ink[i % 4 : 8 + i % 4, 2:12] = 255 if kind == "square" else 90
            Image.fromarray(ink).save(tmp_path / "shapes" / kind / f"{i}.png")
    err = tell("train", tmp_path / "shapes", "--dry-run")[1]
    assert "24 pictures" in err and "2 classes" in err


def test_S_B2_the_target_picks_classes_or_an_amount_and_answers_are_in_its_unit(
    houses, animals, tmp_path, tell
):
    out = tell("predict", animals, "animals")[0]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 98
    for row in rows:
        shares = [float(row["probability of no"]), float(row["probability of yes"])]
        assert sum(shares) == pytest.approx(1, abs=2e-6)  # six decimals are printed
        assert row["elephant"] == ("yes" if shares[1] > shares[0] else "no")
    run = tmp_path / "run"
    tell("train", houses, "--target", "price", *QUICK, "--quiet", "--out", run)
    rows = list(csv.DictReader(io.StringIO(tell("predict", run, houses)[0])))
    found = np.array([float(r["price"]) for r in rows])
    truth = np.array([float(r[-1]) for r in house_rows()])
    assert np.corrcoef(found, truth)[0, 1] > 0.9
    assert 0.8 < found.mean() / truth.mean() < 1.2  # euros, not deviations
    assert "regress" in tell("info", run)[0] and "classify" in tell("info", animals)[0]


def test_S_B10_a_table_without_flags_but_the_target_trains_mlps_with_a_held_out_score(animals):
    result = result_of(animals)
    assert result["settings"]["net"] == "committee" and result["settings"]["members"] == 16
    assert result["scores"]["n"] == 20 and 0.5 < result["scores"]["accuracy"] <= 1


# D, E: labels, accuracy, new rows


def test_S_D6_rows_without_a_label_are_counted_before_training(tmp_path, tell):
    rows = house_rows()
    for i in (3, 50, 51):
        rows[i][-1] = ""
    path = write(tmp_path / "gaps.csv", HOUSES, rows)
    err = tell("train", path, "--target", "price", "--dry-run")[1]
    assert "3 rows: they have no value of 'price'" in err and "gaps.csv, line 5" in err
    run = tmp_path / "run"
    tell("train", path, "--target", "price", "--net", "4", "--epochs", "1", "--quiet", "--out", run)
    result = result_of(run)
    assert any("3 rows without a target are left out" in note for note in result["notes"])
    assert sum(result["metrics"][p]["n"] for p in ("train", "validation", "test")) == 142 - 3


def test_S_E17_accuracy_stands_beside_the_majoritys(animals, tmp_path, tell):
    out = tell("train", "animals", "--epochs", "2", "--quiet", "--out", tmp_path / "run")[0]
    rows = {line.split("  ")[0]: line for line in out.splitlines()}
    assert "accuracy" in out and "majority" in rows and "this network" in rows
    with open(ANIMALS, encoding="utf-8", newline="") as file:
        labels = [r["elephant"] for r in csv.DictReader(file)]
    test = recipe("animals").dataset().parts.test
    majority = np.mean([labels[i] == "no" for i in test])
    assert result_of(animals)["baselines"]["majority"]["accuracy"] == pytest.approx(majority)
    assert f"{100 * majority:.1f} %" in rows["majority"]


def test_S_E18_new_rows_are_answered_and_what_is_odd_about_them_is_said(animals, tmp_path, tell):
    new = write(
        tmp_path / "new.csv",
        ["tusks", "trunk", "legs", "colour", "mass_kg", "name"],
        [["yes", "yes", 4, "grey", 4200, "A"], ["no", "no", 2, "plaid", 3, "B"]],
    )
    err = tell("predict", animals, new, "--out", tmp_path / "answers.csv")[1]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "answers.csv").read_text())))
    assert [r["elephant"] for r in rows] == ["yes", "no"]
    assert {"probability of yes", "probability of no"} <= set(rows[0])
    assert "'plaid'" in err and "ignored columns: 'name'" in err
    short = write(
        tmp_path / "short.csv", ["tusks", "legs", "colour", "mass_kg"], [["yes", 4, "grey", 1]]
    )
    err = tell("predict", animals, short, code=1)[1]
    assert "short.csv" in err and "'trunk'" in err and err.count("\n") == 1


# F: a network that writes


def test_S_F12_a_conversation_with_temperature_top_k_and_chances(tmp_path, tell, monkeypatch):
    text, run = tmp_path / "rhyme.txt", tmp_path / "run"
    text.write_text("Round and round the garden\nlike a teddy bear;\n" * 30)
    small = "--width 16 --layers 1 --window 16 --epochs 1 --batch 64 --quiet".split()
    tell("train", text, *small, "--out", run)
    lines = "Round\n/temperature 0\n/top-k 2\n/length 7\n\n/probabilities\n/quit\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    out = tell("chat", run, "--length", "5")[0]
    assert len(out) > 5 + 7 and "chance of being drawn" in out
    table = out.split("chance of being drawn\n")[1].splitlines()
    assert table[0].endswith("100.0 %") and all(line.endswith(" 0.0 %") for line in table[1:])


# G: methods


def test_S_G1_numbers_are_normalised_and_info_tells_mean_and_deviation(houses, tmp_path, tell):
    run = tmp_path / "run"
    tell("train", houses, "--target", "price", *QUICK, "--quiet", "--out", run)
    told = {c["column"]: c for c in json.loads(tell("info", run, "--json")[0])["columns"]}
    learned = recipe(str(houses), target="price").dataset().parts.train
    for name in ("area", "garden", "price"):
        truth = np.array([float(r[HOUSES.index(name)]) for r in house_rows()])[learned]
        assert told[name]["mean"] == pytest.approx(truth.mean(), rel=1e-9)
        assert told[name]["deviation"] == pytest.approx(truth.std(), rel=1e-9)
    # undone in answers: test_S_B2; stored with the network:
    stored = json.loads((run / "model.json").read_text())["preprocessing"]
    assert stored["answers"]["shift"] == told["price"]["mean"]
    assert f"mean {told['area']['mean']:.6g}" in tell("info", run)[0]


def test_S_G5_training_stops_early_and_says_which_weights_it_keeps(tmp_path, tell):
    run = tmp_path / "run"
    flags = ["--patience", "5", "--lr", "0.02", "--seed", "1", "--out", run]
    err = tell("train", "animals", *flags)[1]
    result = result_of(run)
    best, history = result["best_epoch"], result["history"]
    assert result["epochs"] == best + 5 < 60
    assert f"the weights of epoch {best}, the best, are restored" in err
    losses = [e["validation"]["loss"] for e in history]
    assert best == 1 + int(np.argmin(losses))
    assert result["metrics"]["validation"]["loss"] == pytest.approx(losses[best - 1], rel=1e-5)


def test_S_G8_tune_tells_its_tries_and_the_best_command_line(tell):
    pytest.importorskip("optuna")
    out, err = tell("tune", "animals", "--tries", "3", "--epochs", "4", "--seed", "2")
    assert sum("loss" in line or line.strip()[:1].isdigit() for line in err.splitlines()) >= 3
    (line,) = (line for line in out.splitlines() if "pellucid train animals" in line)
    assert "--seed 2" in line or "--lr" in line


def test_S_G9_every_measure_of_a_classifier_is_there(animals):
    scores = result_of(animals)["scores"]
    for name in ("accuracy", "macro_f1", "roc_auc", "pr_auc", "log_loss", "calibration"):
        assert scores[name] is not None, name
    for row in scores["per_class"]:
        assert {"class", "precision", "recall", "f1", "support"} <= set(row)
    assert np.sum(result_of(animals)["confusion"]) == 20
    report = (animals / "report.html").read_text(encoding="utf-8")
    for word in ("Confusion", "precision", "recall", "F1", "ROC", "alibration"):
        assert word in report


# H: among other tools


def test_S_H5_arrays_frames_pipelines_and_grid_search():
    pytest.importorskip("sklearn")
    pandas = pytest.importorskip("pandas")
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from pellucid.sklearn import PellucidClassifier

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = np.where(x[:, 0] > 0, "up", "down")
    frame = pandas.DataFrame(x, columns=list("abc"))
    for rows in (x, frame):
        pipeline = make_pipeline(StandardScaler(), PellucidClassifier(epochs=5, random_state=0))
        search = GridSearchCV(pipeline, {"pellucidclassifier__lr": [0.01]}, cv=2).fit(rows, y)
        assert search.best_score_ > 0.8
        assert set(search.predict(rows[:4])) <= {"up", "down"}


def test_S_H6_a_run_is_served_and_holds_its_settings_its_datas_hash_and_its_figures(
    animals, tmp_path, tell
):
    pytest.importorskip("httpx2")
    from starlette.testclient import TestClient

    from pellucid.cli import serve
    from pellucid.train.saved import load_model

    hosts = serve.allowed_hosts(serve.LOOPBACK, 8000)
    app = serve.application(load_model(animals), str(animals), "token", hosts)
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    row = {"legs": 4, "trunk": "yes", "tusks": "yes", "colour": "grey", "mass_kg": 4000}
    answer = client.post(
        "/predict", json={"rows": [row]}, headers={"Authorization": "Bearer token"}
    )
    assert answer.json()["answers"][0]["prediction"] == "yes"
    assert client.post("/predict", json={"rows": [row]}).status_code == 401
    assert json.loads((animals / "run.json").read_text())["recipe"]["target"] == "elephant"
    result = result_of(animals)
    assert result["data_sha256"] == hashlib.sha256(ANIMALS.read_bytes()).hexdigest()
    assert result["metrics"]["test"]["loss"] > 0
    other = animals.parent / "animals-2"
    tell("train", "animals", "--lr", "0.02", "--epochs", "2", "--quiet", "--out", other)
    out = tell("runs", "animals-1", "animals-2", "--compare", "--in", animals.parent)[0]
    assert {line.split()[0] for line in out.splitlines()[1:]} >= {"lr", "epochs", "score"}


# I: applications


@pytest.mark.parametrize(("net", "epochs", "least"), [("mlp", 30, 0.97), ("cnn", 10, 0.98)])
def test_S_I1_handwritten_digits(net, epochs, least, tmp_path, tell):
    flags = ["--net", net, "--epochs", epochs, "--quiet", "--json", "--out", tmp_path / "run"]
    result = json.loads(tell("train", "digits", *flags)[0])
    assert result["metrics"]["test"]["accuracy"] >= least and result["metrics"]["test"]["n"] >= 350


SMILEY = """.......
.#...#.
.......
.......
#.....#
.#####.
......."""


def test_S_I2_a_smiley_of_49_inputs_and_what_a_flipped_pixel_does():
    """0 is black (#), 1 is white; the network tells a smile from a frown, the same face upside down."""
    smile = np.array([[c == "." for c in line] for line in SMILEY.split()], np.float32)
    frown = smile.copy()
    frown[4:6] = smile[[5, 4]]
    assert smile.shape == (7, 7) and set(np.unique(smile)) == {0.0, 1.0}
    rng = np.random.default_rng(0)
    faces = np.repeat(np.stack([smile, frown]).reshape(2, 49), 40, 0)
    noise = rng.random(faces.shape) < 0.05  # here and there a pixel is wrong
    data = Dataset(
        "smiley", np.abs(faces - noise), np.repeat([0, 1], 40).astype(np.int32), ("smile", "frown")
    )
    random.seed(0)
    network = nn.Sequential(nn.Linear(49, 8), nn.ReLU(), nn.Linear(8, 2))
    rows = np.arange(80, dtype=np.int32)
    optimizer = optim.Adam(network.parameters(), lr=0.01)
    options = Options(epochs=20, batch_size=8, patience=None)
    for _ in fit(network, data, Split(rows, rows[:0]), optimizer, options):
        pass
    before = predict(network, faces[[0, 40]])
    assert before[0, 0] > 0.9 and before[1, 1] > 0.9
    flipped = faces[:1].copy()
    flipped[0, 5 * 7 + 3] = 1 - flipped[0, 5 * 7 + 3]  # the middle of the mouth
    after = predict(network, flipped)
    assert after[0, 0] < before[0, 0]
    outputs = network(Tensor(np.concatenate([faces[:1], flipped]))).numpy()
    assert not np.array_equal(outputs[0], outputs[1])


def test_S_I12_claims_are_told_column_by_column_and_then_learned(tmp_path, tell):
    rng = np.random.default_rng(1)
    said = "hail broke the window;the car hit a fence;water came through the roof;a thief took the bicycle".split(
        ";"
    )
    days = np.arange("2024-01-01", "2024-04-10", dtype="M8[D]")
    rows = []
    for i in range(100):
        amount = rng.lognormal(7, 0.8)
        report = f"{said[i % 4]} on day {i} and more"
        rows.append([10_000 + 7 * i, days[i], f"{amount:.2f}", ("car", "home")[i % 2], report,
                     "accepted" if amount < 1100 else "rejected"])  # fmt: skip
    names = ["claim_id", "reported", "amount", "kind", "report", "decision"]
    path = write(tmp_path / "claims.csv", names, rows)
    told = json.loads(tell("info", path, "--json")[0])
    uses = {c["column"]: c["use"] for c in told["columns"]}
    assert uses == {"claim_id": "identifier", "reported": "date", "amount": "number", "kind": "category",
                    "report": "text", "decision": "category"}  # fmt: skip
    assert told["targets"][0]["column"] == "decision"
    out = tell("train", path, "--target", "decision", "--quiet", "--out", tmp_path / "run")[0]
    assert "this network" in out and "majority" in out
    assert result_of(tmp_path / "run")["scores"]["accuracy"] >= 0.85  # the amount decides


@pytest.mark.skipif(
    not (DATA / "sms_spam" / "sms.tsv").exists(), reason="PELLUCID_DATA has no sms_spam"
)
def test_S_I13_spam_is_found_as_well_as_by_tf_idf_and_a_logistic_regression(tmp_path, tell):
    file, run = DATA / "sms_spam" / "sms.tsv", tmp_path / "run"
    # Of 150 spam texts in a fifth of the rows each is worth half a point of F1; two fifths say more.
    flags = ["--target", "column_1", "--test", "0.4", "--epochs", "6", "--quiet", "--json"]
    result = json.loads(tell("train", file, *flags, "--out", run)[0])
    (f1,) = (c["f1"] for c in result["scores"]["per_class"] if c["class"] == "spam")
    assert f1 >= 0.93
    few = write(
        tmp_path / "few.csv", ["column_1", "column_2"], [["spam", "You have won a prize, call now"]]
    )
    assert "won" in tell("explain", run, few, "--row", "1")[0]  # the words that it rests on


def test_S_I14_a_price_is_forecast_in_its_order_beside_the_last_value(tmp_path, tell):
    rng = np.random.default_rng(6)
    days = np.arange("2023-01-01", "2023-10-08", dtype="M8[D]")
    walk = 100 + np.cumsum(rng.normal(size=280))  # nothing about its steps can be known
    path = write(
        tmp_path / "stock.csv",
        ["date", "close"],
        [[d, f"{v:.3f}"] for d, v in zip(days, walk, strict=True)],
    )
    run = tmp_path / "run"
    flags = [
        "--task",
        "forecast",
        "--target",
        "close",
        "--width",
        "4",
        "--epochs",
        "3",
        "--window",
        "8",
    ]
    out, err = tell("train", path, *flags, "--out", run)
    assert "the last value again" in out
    ours, last = result_of(run)["forecast"], result_of(run)["baseline"]["persistence"]
    assert ours["rmse"] > last["rmse"] and "Warning: not better than the last value again" in out
    test = result_of(run)["test"]
    assert test["times"] == sorted(test["times"]) and test["times"][-1] == "2023-10-07"
    assert "2023-01-01 to 2023-10-07" in err


def test_S_I16_house_prices_have_r2_and_mae_in_euros_beside_the_mean(houses, tmp_path, tell):
    out = tell("train", houses, "--target", "price", *QUICK, "--quiet", "--out", tmp_path / "run")[
        0
    ]
    result = result_of(tmp_path / "run")
    ours, mean = result["scores"], result["baselines"]["mean"]
    assert ours["r2"] > 0.8 and ours["mae"] < 0.5 * mean["mae"]
    prices = np.array([float(r[-1]) for r in house_rows()])
    parts = recipe(str(houses), target="price").dataset().parts
    by_hand = np.abs(prices[parts.test] - prices[parts.train].mean()).mean()
    assert mean["mae"] == pytest.approx(by_hand, rel=1e-5)
    head, *rows = [line for line in out.splitlines() if line.strip()][1:4]
    assert head.split() == ["RMSE", "MAE", "R2"] and rows[0].startswith("this network")
    assert f"{ours['mae']:,.0f}" in rows[0] and any("mean" in line for line in out.splitlines())


def test_S_I17_a_language_model_tells_its_perplexity_and_writes(tmp_path, tell):
    text, run = tmp_path / "rhyme.txt", tmp_path / "run"
    text.write_text("Round and round the garden\nlike a teddy bear;\n" * 40)
    small = "--net gru --width 16 --layers 1 --window 16 --epochs 2 --batch 32 --quiet".split()
    out = tell("train", text, *small, "--out", run)[0]
    test = result_of(run)["metrics"]["test"]
    assert test["perplexity"] == pytest.approx(np.exp(test["loss"])) and test["perplexity"] < 20
    assert f"perplexity {test['perplexity']:.2f}" in out and "Counting pairs" in out
    written = tell("sample", run, "--prompt", "Round", "--length", "12")[0]
    assert written.startswith("Round") and len(written) == 5 + 12 + 1


def test_S_I18_texts_are_told_apart_and_the_nearest_found(tmp_path, tell):
    good = [
        "a lovely film with a warm heart",
        "what a warm and lovely story",
        "great acting in a great story",
    ]
    bad = [
        "a dull film without a story",
        "what a waste of time and money",
        "the acting was dull and slow",
    ]
    rows = [
        [label, f"{texts[i % 3]} said visitor {i}"]
        for i in range(45)
        for label, texts in (("good", good), ("bad", bad))
    ]
    path, run = write(tmp_path / "reviews.csv", ["label", "review"], rows), tmp_path / "run"
    tell("train", path, "--target", "label", *QUICK, "--quiet", "--out", run)
    assert result_of(run)["scores"]["accuracy"] == 1.0
    out = tell("similar", run, "such a warm and lovely heart", "--top", "2", "--json")[0]
    for near in json.loads(out)["similar"]:
        assert near["answer"] == "good" and {"warm", "lovely"} <= set(near["shared"])


# J: more data, more runs


def test_S_J2_the_score_is_told_for_each_size(tmp_path, tell):
    picture = tmp_path / "curve.png"
    flags = ["--net", "8", "--epochs", "2", "--repeats", "1", "--out", picture]
    out = tell("curve", "animals", *flags)[0]
    sizes = [line.split()[0] for line in out.splitlines()[1:6]]
    assert sizes == ["10", "13", "25", "44", "63"] and "ore data would" in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_S_J3_the_best_score_is_told_run_by_run(tmp_path, tell):
    for i, epochs in enumerate((1, 12), 1):
        flags = ["--epochs", epochs, "--net", "16", "--lr", "0.02", "--quiet"]
        tell("train", "animals", *flags, "--out", tmp_path / f"animals-{i}")
    found = json.loads(tell("runs", "--in", tmp_path, "--json")[0])
    scores = [r["score"]["value"] for r in found]
    assert [r["best_so_far"] for r in found] == [scores[0], max(scores)]
    out = tell("runs", "--in", tmp_path, "--html", tmp_path / "history.html")[0]
    assert "animals, elephant: best accuracy so far" in out and " *" in out
    assert "<svg" in (tmp_path / "history.html").read_text(encoding="utf-8")
