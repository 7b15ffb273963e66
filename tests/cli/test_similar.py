"""`pellucid similar`: the nearest training texts by scikit-learn's cosine, their places; what cannot be answered."""

import numpy as np
import pandas as pd
import pytest
from commands import document, refused

from pellucid.cli.main import run as command
from pellucid.data.frame import Column
from pellucid.data.reading import read_table
from pellucid.train import similar, streamed
from pellucid.train.plan import planned
from pellucid.train.recipe import recipe
from pellucid.train.saved import load_model

metrics = pytest.importorskip("sklearn.metrics.pairwise")
preprocessing = pytest.importorskip("sklearn.preprocessing")

SAID = {
    "good": ["a lovely film with a warm heart", "what a warm and lovely story", "great acting and a great story",
             "the best film this year by far", "my children loved this warm story"],
    "bad": ["a dull film without any story", "what a waste of time and money", "the acting was dull and slow",
            "the worst film this year by far", "my money back please what a waste"],
}  # fmt: skip
SENTENCE = "a warm and lovely film"


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """(run, file) of a few reviews, each said by several people, and one text twice."""
    folder = tmp_path_factory.mktemp("similar")
    rows = [
        f"{label},{text} says number {i % 6}"
        for i in range(60)
        for label in SAID
        for text in [SAID[label][i % 5]]
    ]
    path, run = folder / "reviews.csv", folder / "run"
    path.write_text("label,text\n" + "\n".join(rows) + "\n")
    options = ["--target", "label", "--net", "8", "--epochs", "3", "--quiet", "--out", str(run)]
    assert command(["train", str(path), *options]) == 0
    return run, path


def test_the_nearest_are_those_of_scikit_learn(reviews, capsys):
    run, path = reviews
    found = document(capsys, "similar", run, SENTENCE, "--top", 4)["similar"]
    model = load_model(run)
    made = recipe(str(path), target="label")
    data = made.dataset()
    frame = read_table(path)
    train = data.parts.train
    file = path.parent / "one.csv"
    file.write_text(f"label,text\ngood,{SENTENCE}\ngood,x\n")
    wanted = model.encoder.transform(read_table(file, kinds=model.kinds))[:1]
    n = len(data.encoder.codes[0].terms)

    def even(x):  # the words five times as long as one, then four counts
        return np.hstack([5 * preprocessing.normalize(x[:, :n]), x[:, n:]])

    cosines = metrics.cosine_similarity(even(data.x[train]), even(wanted))[:, 0]
    by_text = {}
    for row, c in zip(train, cosines, strict=True):
        text = frame["text"].values[row]
        by_text.setdefault(text, []).append((c, row))
    best = sorted(by_text, key=lambda t: -by_text[t][0][0])[:4]
    np.testing.assert_allclose(
        [n["similarity"] for n in found], [by_text[t][0][0] for t in best], atol=2e-6
    )
    for n in found:
        c, row = by_text[n["text"]][0]
        assert n["similarity"] == pytest.approx(c, abs=2e-6)
        assert n["place"] == f"reviews.csv, line {row + 2}" and n["count"] == len(
            by_text[n["text"]]
        )
        assert n["answer"] == frame["label"].values[row] == "good"
        words = [w for w in n["shared"] if " " not in w]
        assert words and set(words) <= set(SENTENCE.split()) & set(n["text"].split())


def test_a_person_reads_text_place_and_shared_words(reviews, capsys):
    run, _ = reviews
    capsys.readouterr()
    assert command(["similar", str(run), SENTENCE, "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and "good" in lines[0] and "reviews.csv, line" in lines[0]
    assert "warm" in lines[1] and lines[2].strip().startswith("both: ")


def test_what_cannot_be_answered_is_said(reviews, tmp_path, capsys, monkeypatch):
    run, path = reviews
    code, err = refused(capsys, "similar", run, "zzz qqq")
    assert code == 1 and "no word of 'zzz qqq' is among" in err
    code, err = refused(capsys, "similar", run, SENTENCE, "--column", "label")
    assert code == 2 and "There are: text" in err
    numbers = tmp_path / "numbers"
    assert (
        command(
            ["train", "animals", "--net", "4", "--epochs", "1", "--quiet", "--out", str(numbers)]
        )
        == 0
    )
    code, err = refused(capsys, "similar", numbers, SENTENCE)
    assert code == 2 and "no column of texts" in err
    before = path.read_text()
    path.write_text(before.replace("dull", "slow", 1))
    code, err = refused(capsys, "similar", run, SENTENCE)
    assert code == 1 and "has changed since" in err and "reviews.csv" in err
    path.unlink()
    code, err = refused(capsys, "similar", run, SENTENCE)
    assert code == 1 and "not there any more" in err
    path.write_text(before)
    assert command(["similar", str(run), SENTENCE]) == 0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_nearest_of_a_table_larger_than_memory_are_those_of_all_its_rows(
    kind, tmp_path, capsys, monkeypatch
):
    """By scikit-learn over every row to learn from; some of the nearest stand early in the file, some late."""
    monkeypatch.setattr(streamed, "LEAST", 1000)
    rng = np.random.default_rng(2)
    texts = [f"{rng.choice(SAID[label])} says number {rng.integers(0, 9)}"
             for label in rng.choice(list(SAID), 6000)]  # fmt: skip
    texts[5900:] = [f"{t} in the very end" for t in texts[5900:]]
    table = pd.DataFrame(
        {"label": ["good" if "warm" in t else "bad" for t in texts], "text": texts}
    )
    table.loc[::50, "label"] = None
    path, run = tmp_path / f"t.{kind}", tmp_path / "run"
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path, row_group_size=700)
    options = [
        "--target",
        "label",
        "--column",
        "text=text",
        "--memory",
        "300kB",
        "--net",
        "8",
        "--epochs",
        "1",
    ]
    assert command(["train", str(path), *options, "--quiet", "--out", str(run)]) == 0
    model = load_model(run)
    made = recipe(**model.settings)
    found = streamed.survey_for(made)
    pieces = []
    monkeypatch.setattr(
        similar, "unit", lambda x, unit=similar.unit: pieces.append(len(x)) or unit(x)
    )
    sentence = "a warm and lovely film in the very end"
    told = document(capsys, "similar", run, sentence, "--top", 6)["similar"]
    assert len(pieces) > 4  # two for the sentence, two for each piece

    part = planned(made, found).by_row.parts(read_table(path), np.arange(6000))
    rows = np.flatnonzero((part == 0) & table.label.notna())
    code = model.encoder.codes[0]

    def features(texts):
        out = np.zeros((len(texts), len(code.names())), np.float32)
        values = np.array(list(texts), object)
        code.write("t", Column("text", "text", values, np.zeros(len(out), bool)), out)
        words = preprocessing.normalize(out[:, : len(code.terms)].astype(float))
        return np.hstack([code.longest * words, out[:, len(code.terms) :]])

    cosines = metrics.cosine_similarity(features(table.text[rows]), features([sentence]))[:, 0]
    order = rows[np.argsort(-cosines.round(9), kind="stable")]
    best = list(dict.fromkeys(table.text[order]))[:6]
    assert [n["text"] for n in told] == best
    for n in told:
        same = rows[(table.text[rows] == n["text"]).to_numpy()]
        at = f"line {same[0] + 2}" if kind == "csv" else f"row {same[0]}"
        assert (n["count"], n["place"]) == (len(same), f"t.{kind}, {at}")
        assert n["answer"] == table.label[same[0]]
        cosine = cosines[np.searchsorted(rows, same[0])]
        assert n["similarity"] == pytest.approx(cosine, abs=2e-6)
    table.text = table.text.str.replace("dull", "slow")
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path, row_group_size=700)
    code, err = refused(capsys, "similar", run, sentence)
    assert code == 1 and "has changed since" in err
