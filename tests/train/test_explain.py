"""Integrated gradients: hand calculations, the axiom of completeness; and `pellucid explain`."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from commands import document
from PIL import Image

from pellucid import Tensor, nn
from pellucid import functions as F
from pellucid.base.errors import OptionError
from pellucid.cli.main import run as command
from pellucid.data.digits import load_digits
from pellucid.models import GPT, CharRNN
from pellucid.tensor import random
from pellucid.train.explain import amount_of, chance_of, integrated_gradients, next_character
from pellucid.train.saved import load_model

rng = np.random.default_rng(0)


def test_of_a_linear_score_each_part_is_weight_times_way():
    w = rng.normal(size=5).astype(np.float32)
    x, base = (rng.normal(size=(3, 5)).astype(np.float32) for _ in range(2))
    parts, gaps = integrated_gradients(lambda x: x @ Tensor(w), x, base, n_steps=3)
    np.testing.assert_allclose(parts, w * (x - base), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gaps, 0, atol=1e-5)


def test_of_a_product_the_parts_are_halves():
    # x1 * x2 from (0, 0): the gradient on the way is t * (x2, x1), its mean half of it.
    x = np.array([[3.0, 5.0], [-2.0, 7.0]], np.float32)
    parts, gaps = integrated_gradients(lambda x: x[:, 0] * x[:, 1], x, np.zeros(2, np.float32))
    np.testing.assert_allclose(parts, np.repeat(x.prod(1, keepdims=True) / 2, 2, 1), rtol=1e-5)
    np.testing.assert_allclose(gaps, 0, atol=1e-4)


def test_a_square_against_its_integral():
    # sum x^3 from b to x: each part is x^3 - b^3; the middles of n pieces are off by O(1 / n^2).
    x, base = np.array([[1.0, 2.0]], np.float32), np.array([0.5, -1.0], np.float32)
    errors = []
    for n in (8, 16):
        parts, gaps = integrated_gradients(lambda x: (x * x * x).sum(-1), x, base, n)
        errors.append(np.abs(parts - (x**3 - base**3)).max())
        assert np.abs(gaps).max() == pytest.approx(
            np.abs((x**3 - base**3).sum() - parts.sum()), abs=1e-5
        )
    assert errors[1] < errors[0] / 3.5


@pytest.mark.parametrize("shape", [(6,), (4, 4, 1)])
def test_parts_sum_to_the_difference_whatever_the_batches(shape, monkeypatch):
    from pellucid.train import explain

    network = (
        nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
        if len(shape) == 1
        else nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3))
    )
    x = rng.normal(size=(7, *shape)).astype(np.float32)
    ones, base = [np.ones(7, np.int32)], np.zeros(shape, np.float32)
    parts, gaps = integrated_gradients(chance_of(network), x, base, 200, ones)
    assert np.abs(gaps).max() < 1e-4
    ends = [F.softmax(network(Tensor(e)), -1)[:, 1].numpy() for e in (x, np.zeros_like(x))]
    np.testing.assert_allclose(parts.reshape(7, -1).sum(1), ends[0] - ends[1], atol=1e-4)
    monkeypatch.setattr(explain, "MOST_NUMBERS", 200 * 2 * int(np.prod(shape)))
    again, _ = integrated_gradients(chance_of(network), x, base, 200, ones)
    np.testing.assert_allclose(again, parts, atol=1e-6)


def test_each_row_has_a_class_of_its_own(monkeypatch):
    """In one go, in whatever batches: each row's parts are those of a program for its class alone."""
    from pellucid.train import explain

    network = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    x, base = rng.normal(size=(5, 6)).astype(np.float32), np.zeros(6, np.float32)
    classes = np.array([2, 0, 0, 1, 2])

    def alone(c):
        return integrated_gradients(lambda x: F.softmax(network(x), -1)[:, c], x, base)

    monkeypatch.setattr(explain, "MOST_NUMBERS", 64 * 2 * 6)  # two rows at once
    parts, gaps = integrated_gradients(chance_of(network), x, base, of=[classes])
    for c in range(3):
        expected, their_gaps = alone(c)
        np.testing.assert_allclose(parts[classes == c], expected[classes == c], atol=1e-6)
        np.testing.assert_allclose(gaps[classes == c], their_gaps[classes == c], atol=1e-6)


def test_a_column_that_the_network_does_not_read_has_no_part():
    network = nn.Linear(3, 1)
    network.weight.assign(Tensor(np.array([[1.0], [0.0], [2.0]], np.float32)))
    x = rng.normal(size=(4, 3)).astype(np.float32)
    parts, _ = integrated_gradients(amount_of(network), x, np.zeros(3, np.float32))
    np.testing.assert_array_equal(parts[:, 1], 0)
    assert (parts[:, 2] != 0).all()


def small_gpt():
    random.seed(3)
    network = GPT(7, 12, 8, 2, 2, dropout=0.3)
    for p in network.parameters():  # as they begin, the weights are so small that no place differs
        p.assign(p * 8)
    return network


def small_rnn():
    random.seed(4)
    return CharRNN(7, 5, 6, 1, "gru", 0.3)


@pytest.mark.parametrize("make", [small_gpt, small_rnn])
def test_parts_of_characters_sum_to_the_difference_from_mean_vectors(make):
    network = make()
    codes = np.array([1, 5, 0, 6, 3, 3, 2], np.int32)
    parts, gap = next_character(network, codes, 4, 200)
    assert parts.shape == (7,) and network.training
    network.eval()

    def chance():
        return F.softmax(network(Tensor(codes[None]))[:, -1], -1).numpy()[0, 4]

    with_them = chance()
    embedding = next(m for _, m in network.modules() if isinstance(m, nn.Embedding))
    weight = embedding.weight.numpy()
    head = weight.copy()
    if make is small_gpt:  # its last layer is the same weight: only what is read becomes the mean
        vars(embedding)["attend"] = lambda x: x @ Tensor(head.T.copy())
    embedding.weight.assign(Tensor(np.repeat(weight.mean(0, keepdims=True), 7, 0)))
    difference = with_them - chance()
    assert abs(difference) > 0.01
    assert parts.sum() == pytest.approx(difference, abs=2e-3)
    assert gap == pytest.approx(difference - parts.sum(), abs=1e-5)


def test_characters_that_the_network_does_not_read_have_no_part():
    network = nn.Sequential(
        nn.Embedding(5, 4), nn.Linear(4, 5)
    )  # each place alone: the last one counts
    parts, _ = next_character(network, np.array([1, 2, 3], np.int32), 0)
    np.testing.assert_array_equal(parts[:2], 0)
    assert parts[2] != 0


def test_the_embedding_is_left_as_it_was():
    network = small_rnn()
    before = network.eval()(Tensor(np.array([[1, 2]]))).numpy()
    next_character(network, np.array([1, 2], np.int32), 0, 4)
    np.testing.assert_array_equal(network(Tensor(np.array([[1, 2]]))).numpy(), before)
    with pytest.raises(OptionError, match="has 2 embeddings"):
        two = nn.Sequential(nn.Embedding(5, 4), nn.Embedding(5, 4))
        next_character(two, np.array([1], np.int32), 0)


def test_attention_maps_are_what_the_blocks_use():
    network = small_gpt().eval()
    tokens = Tensor(rng.integers(0, 7, (2, 5)))
    maps = network.attention_maps(tokens)
    assert len(maps) == 2
    x = network.wpe(network.wte(tokens))
    for block, weights in zip(network.h, maps, strict=True):
        w = weights.numpy()
        assert w.shape == (2, 2, 5, 5)
        np.testing.assert_allclose(w.sum(-1), 1, rtol=1e-6)
        np.testing.assert_array_equal(w[..., *np.triu_indices(5, 1)], 0)
        h = block.ln_1(x)
        values = block.attn.c_attn(h).numpy()[..., 16:].reshape(2, 5, 2, 4)
        mixed = np.einsum("bhts,bshd->bthd", w, values).reshape(2, 5, 8)
        expected = block.attn.c_proj(Tensor(mixed)).numpy()
        np.testing.assert_allclose(block.attn(h).numpy(), expected, rtol=1e-4, atol=1e-5)
        x = block(x)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    run = tmp_path_factory.mktemp("run") / "digits"
    assert (
        command(["train", "digits", "--net", "16", "--epochs", "4", "--quiet", "--out", str(run)])
        == 0
    )
    return run


def test_a_picture_is_explained_by_its_pixels(digits, tmp_path, capsys):
    data = load_digits()
    rows = (data.x[:3] * data.scale).astype(int)
    file = tmp_path / "rows.csv"
    file.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    out = tmp_path / "why.png"
    capsys.readouterr()
    line = ["explain", str(digits), str(file), "--row", "2", "--out", str(out), "--json"]
    assert command(line) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["row"] == 2 and told["largest_gap"] < 0.01 and len(told["parts"]) == 10
    with Image.open(out) as picture:
        assert picture.size == ((8 + 1 + 8) * 56, 8 * 56)
        colours = np.asarray(picture)[28::56, (9 * 56 + 28) :: 56].reshape(-1, 3)
    assert (colours != 255).any(1).sum() > 10  # ink where pixels count
    assert command(["explain", str(digits), str(file)]) == 2
    assert "3 pictures; say which one" in capsys.readouterr().err
    assert command(["explain", str(digits), str(file), "--row", "9"]) == 1
    assert "no row 9" in capsys.readouterr().err
    assert command(["explain", str(digits), str(file), "--class", "x"]) == 2
    assert "There are: 0, 1" in capsys.readouterr().err


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """(run, file) of a table whose text gives its class away by one word."""
    folder = tmp_path_factory.mktemp("letters")
    rng = np.random.default_rng(1)
    common = "the and you have will come see here there today".split()
    lines = ["size,text,kind"]
    for i in range(240):
        words = [*rng.choice(common, 6), "prize" if i % 3 == 0 else "lunch"]
        text = " ".join(rng.permutation(words))
        lines.append(f"{rng.normal():.3f},{text},{'spam' if i % 3 == 0 else 'ham'}")
    file = folder / "letters.csv"
    file.write_text("\n".join(lines) + "\n")
    line = ["train", str(file), "--target", "kind", "--column", "text=text", "--net", "16"]
    assert (
        command([*line, "--epochs", "20", "--lr", "0.02", "--quiet", "--out", str(folder / "run")])
        == 0
    )
    return folder / "run", file


def test_the_words_that_mattered_are_named(letters, capsys):
    run, file = letters
    found = document(capsys, "explain", run, file)["words"]["text"]
    answers = [a["kind"] for a in document(capsys, "predict", run, file)["predictions"]]
    assert {a: f["rows"] for a, f in found.items()} == {
        a: answers.count(a) for a in ("ham", "spam")
    }
    assert next(iter(found["spam"]["words"])) == "'prize'"
    assert next(iter(found["ham"]["words"])) == "'lunch'"
    assert command(["explain", str(run), str(file), "--top", "2"]) == 0
    lines = capsys.readouterr().out.split("\n\n")
    assert (
        "most for kind = spam, in the mean of the" in lines[2]
        and "'prize'" in lines[2].splitlines()[1]
    )
    assert len(lines[2].strip().splitlines()) == 3


def test_a_row_whose_number_is_a_word_is_explained(tmp_path, capsys):
    rng = np.random.default_rng(5)
    cells = [[f"{v:.3f}", "yes" if v > 0 else "no"] for v in rng.normal(size=60)]
    for i in range(0, 60, 12):
        cells[i][0] = ("none", "unclear", "?", "old", "lost")[i // 12]
    file, run = tmp_path / "t.csv", tmp_path / "run"
    file.write_text("size,kind\n" + "".join(f"{a},{b}\n" for a, b in cells))
    line = [
        "train",
        file,
        "--target",
        "kind",
        "--column",
        "size=number",
        "--net",
        "4",
        "--epochs",
        "2",
    ]
    assert command([*map(str, line), "--quiet", "--out", str(run)]) == 0
    found = document(capsys, "explain", run, file, "--row", "13")
    assert list(found["parts"]) == ["size"]


def test_words_for_one_class_are_those_of_all_rows(letters, capsys):
    run, file = letters
    found = document(capsys, "explain", run, file, "--class", "spam")["words"]["text"]
    assert list(found) == ["spam"] and found["spam"]["rows"] == 240
    words = found["spam"]["words"]
    assert next(iter(words)) == "'prize'" and words["'lunch'"] < 0
    assert command(["explain", str(run), str(file), "--class", "spam"]) == 0
    assert "in the mean of all 240 rows" in capsys.readouterr().out


def test_words_that_raise_and_lower_amounts(tmp_path, capsys):
    rng = np.random.default_rng(2)
    lines = ["text,price"]
    for _ in range(200):
        words = rng.choice("flat room view lake near park dear cheap".split(), 5)
        price = 100 + 40 * ("dear" in words) - 40 * ("cheap" in words)
        lines.append(f"{' '.join(words)},{price + rng.normal():.3f}")
    file, run = tmp_path / "flats.csv", tmp_path / "run"
    file.write_text("\n".join(lines) + "\n")
    line = [
        "train",
        file,
        "--target",
        "price",
        "--task",
        "regress",
        "--column",
        "text=text",
        "--net",
        "16",
    ]
    assert (
        command([*map(str, line), "--lr", "0.02", "--epochs", "20", "--quiet", "--out", str(run)])
        == 0
    )
    words = document(capsys, "explain", run, file)["words"]["text"]["price"]["words"]
    single = [w for w in words if " " not in w]
    assert single[0] == "'dear'" and single[-1] == "'cheap'"
    assert words["'dear'"] > 0 > words["'cheap'"]
    assert command(["explain", str(run), str(file), "--top", "5"]) == 0
    out = capsys.readouterr().out
    assert "Words of 'text' that change price most, in the mean of all 200 rows" in out
    assert "'dear'" in out and "'cheap'" in out


def test_of_a_large_table_rows_evenly_apart_are_explained(letters, capsys, monkeypatch):
    run, file = letters
    monkeypatch.setattr("pellucid.cli.explain.MOST_ROWS", 3)
    found = document(capsys, "explain", run, file)
    assert (found["rows"], found["of_rows"]) == (3, 240)
    each = [document(capsys, "explain", run, file, "--row", row) for row in (1, 120, 240)]
    for name, size in found["mean_size"].items():
        assert size == pytest.approx(np.mean([abs(e["parts"][name]) for e in each]), rel=1e-4)
    assert command(["explain", str(run), str(file)]) == 0
    assert "3 of 240 rows" in capsys.readouterr().out


def test_words_of_one_row_sum_to_the_part_of_their_column(letters, capsys):
    run, file = letters
    found = document(capsys, "explain", run, file, "--row", "2", "--class", "spam")
    words = found["words"]["text"]
    assert sum(words.values()) == pytest.approx(found["parts"]["text"], abs=1e-6)
    text = file.read_text().splitlines()[2].split(",")[1]
    named = [w.strip("'") for w in words if w.startswith("'")]
    # Words and pairs of words that stand in the text, in this order.
    assert named and all(f" {w} " in f" {text} " for w in named)
    assert set(text.split()) <= set(named)
    assert words["'lunch'"] < 0 and found["answer"] == "spam"


@pytest.mark.skipif("PELLUCID_DATA" not in os.environ, reason="needs the public data sets")
def test_the_top_words_of_spam(tmp_path, capsys):
    file = tmp_path / "sms.tsv"
    with open(Path(os.environ["PELLUCID_DATA"]) / "sms_spam" / "sms.tsv", encoding="utf-8") as sms:
        file.write_text("kind\ttext\n" + "".join(sms.readlines()[:3000]), encoding="utf-8")
    line = ["train", file, "--target", "kind", "--epochs", "6", "--out", tmp_path / "r"]
    assert command([*map(str, line), "--quiet"]) == 0
    found = list(
        document(capsys, "explain", tmp_path / "r", file)["words"]["text"]["spam"]["words"]
    )
    top = [w.strip("'") for w in found[:20]]
    known = set("free txt call text mobile claim reply www stop prize uk won com".split())
    assert len(known & set(top)) >= 6, top


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("writer")
    text = folder / "rhyme.txt"
    text.write_text("Round and round the garden\nlike a teddy bear;\n" * 30)
    line = ["train", str(text), "--net", "gpt", "--width", "16", "--layers", "2", "--window", "20"]
    assert command([*line, "--epochs", "2", "--quiet", "--out", str(folder / "run")]) == 0
    return folder / "run", text


def test_a_text_is_explained_by_its_characters(writer, tmp_path, capsys):
    run, _ = writer
    asked = tmp_path / "asked.txt"
    asked.write_text("a teddy bear; round and ro")
    out = tmp_path / "who.png"
    found = document(capsys, "explain", run, asked, "--attention", "--out", out)
    answer = document(capsys, "predict", run, asked)["predictions"][0]["next"]
    assert found["answer"] == next(iter(answer))
    assert found["value"] == pytest.approx(answer[found["answer"]], abs=1e-6)
    assert found["text"] == "a teddy bear; round and ro"[-20:]
    assert len(found["parts"]) == 20 and "'o', 1 back" in found["parts"]
    second = list(answer)[1]
    other = document(capsys, "explain", run, asked, "--class", second)
    assert (other["answer"], round(other["value"], 6)) == (second, answer[second])
    heads = load_model(run).network.n_head
    with Image.open(out) as picture:
        side = 22 + 20 * 12
        assert picture.size == (20 + heads * (side + 20), 20 + 2 * (side + 20))
        first = np.asarray(picture)[20 + 22 :, 20 + 22 :][6 : 20 * 12 : 12, 6 : 20 * 12 : 12]
    # Nobody looks at what comes later; the first place looks at itself alone.
    assert (first[np.triu_indices(20, 1)] == 255).all()
    np.testing.assert_array_equal(first[0, 0], (0, 0x72, 0xB2))
    assert command(["explain", str(run), str(asked)]) == 0
    assert "Compared with the mean of all characters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--row", "1"], "--row is for tables"),
        (["--out", "x.png"], "--out is for the picture of --attention"),
        (["--class", "@"], "'@' is no class"),
    ],
)
def test_what_a_text_has_not_is_refused(more, words, writer, capsys):
    assert command(["explain", *map(str, writer), *more]) == 2
    assert words in capsys.readouterr().err


def test_a_forecast_is_explained_by_the_values_before(tmp_path, capsys):
    run, file = tmp_path / "run", tmp_path / "v.csv"
    line = "train series --width 4 --layers 1 --epochs 2 --window 6 --quiet --out"
    assert command([*line.split(), str(run)]) == 0
    values = 20 + np.sin(np.arange(30))
    file.write_text("t,v\n" + "".join(f"t{i},{v!r}\n" for i, v in enumerate(values.tolist())))
    found = document(capsys, "explain", run, file)

    def forecast(values):
        file.write_text("t,v\n" + "".join(f"{i},{v!r}\n" for i, v in enumerate(values)))
        return document(capsys, "predict", run, file)["predictions"][0]["forecast"][0]

    assert found["value"] == pytest.approx(forecast(values.tolist()), rel=1e-6)
    difference = found["value"] - forecast([values.tolist()[-1]] * 6)
    assert abs(difference) > 1e-3
    parts = list(found["parts"].values())
    assert len(parts) == 6 and parts[-1] == 0  # the last value is what the others are compared with
    # 64 pieces of a smooth curve; both sides in float32
    assert sum(parts) == pytest.approx(difference, abs=2e-4)
    assert next(iter(found["parts"])).startswith("t24: 19.0944, 6 back")
    assert command(["explain", str(run), str(file), "--row", "1"]) == 2
    assert "--row is for" in capsys.readouterr().err
    file.write_text("t,v\n0,1.0\n1,2.0\n")
    assert command(["explain", str(run), str(file)]) == 1
    assert "looks back at 6" in capsys.readouterr().err


def test_attention_is_for_a_gpt(digits, tmp_path, capsys):
    (tmp_path / "x.csv").write_text("1,2\n")
    assert command(["explain", str(digits), str(tmp_path / "x.csv"), "--attention"]) == 2
    assert "--attention is for a GPT" in capsys.readouterr().err
