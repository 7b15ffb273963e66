"""`pellucid similar`: the nearest training texts by scikit-learn's cosine, their places; what cannot be answered."""

import numpy as np
import pytest
from commands import document, refused

from pellucid.cli.main import run as command
from pellucid.data.reading import read_table
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
