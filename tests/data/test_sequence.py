"""Texts and series: the windows that a program gathers are those that NumPy cuts; parts do not overlap."""

import dataclasses
import math

import numpy as np
import pytest

from pellucid.base.errors import DataError, OptionError
from pellucid.data import (
    Series,
    Text,
    decode,
    encode,
    load_series,
    load_text,
    read_series,
    sequence,
    split_series,
    split_text,
)
from pellucid.tensor.tensor import Tensor
from pellucid.tensor.trace import compile
from pellucid.train.objectives import stored


def text(n=200, window=7):
    codes = (np.arange(n) ** 2 % 11).astype(np.int32)
    return Text("text", codes, tuple("abcdefghijk"), window)


def series(values=None, window=3):
    values = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 7.0, 6.0]) if values is None else values
    return Series("s", values, tuple(str(i) for i in range(len(values))), window, "", 2, 4, 0.5)


def batch(data, rows):
    """As inside a training step: compiled, from stored arrays."""
    arrays = stored(data)
    x, y = compile(lambda rows: data.batch(arrays, rows))(np.asarray(rows, np.int32))
    return x.numpy(), y.numpy()


# What the package carries


def test_the_text_is_alice_from_the_first_word_to_the_last():
    data = load_text()
    whole = decode(data.codes, data.classes)
    assert len(whole) == 148_394 and len(data.classes) == 70
    assert whole.startswith("ALICE'S ADVENTURES IN WONDERLAND\n")
    assert whole.endswith("the happy summer days.\n\n                             THE END\n")
    assert whole.count("CHAPTER ") == 12 and "Cheshire Cat" in whole
    assert "MILLENNIUM" not in whole and "utenberg" not in whole and "opyright" not in whole
    assert "\r" not in whole and "1865" in data.source and data.licence == "public domain"


def test_the_series_is_every_month_of_61_years():
    data = load_series()
    assert len(data.values) == 732 == 61 * 12
    assert data.times[0] == "1950-01" and data.times[-1] == "2010-12"
    assert data.times == tuple(sorted(data.times))
    assert data.values[0] == 23.11 and data.values[-1] == 22.07
    # The strongest El Nino of the century, in 1982/83 and 1997/98: the warmest months of their decades.
    assert data.times[int(np.argmax(data.values))] in ("1983-03", "1998-03")
    assert data.licence == "public domain" and "NOAA" in data.source


def test_scales_come_from_the_training_part_alone():
    data = load_series(validation=0.15, test=0.2)
    learned = data.values[: 732 - round(732 * 0.2) - round(732 * 0.15)]
    assert data.shift == pytest.approx(learned.mean(), rel=1e-12)
    assert data.scale == pytest.approx(learned.std(), rel=1e-12)
    assert data.step == pytest.approx(np.diff(learned).std(), rel=1e-12)


# Windows


@pytest.mark.parametrize("window", [1, 7, 64])
def test_a_text_batch_is_each_window_and_what_follows_each_character(window):
    data = text(window=window)
    rows = [0, 5, len(data) - 1, 5]
    x, y = batch(data, rows)
    for i, row in enumerate(rows):
        assert x[i].tolist() == data.codes[row : row + window].tolist()
        assert y[i].tolist() == data.codes[row + 1 : row + window + 1].tolist()


def test_a_series_batch_is_the_window_scaled_and_the_change_that_follows():
    data = series()
    x, y = batch(data, [0, 3])
    assert x[..., 0].tolist() == [[-0.25, 0.25, 0.0], [0.75, 0.5, 1.25]]  # (value - 2) / 4
    assert y.tolist() == [(5 - 2) / 0.5, (6 - 7) / 0.5]
    assert x.shape == (2, 3, 1) and len(data) == 4
    # and back: the last value and the change give the next
    assert data.scales.forecast([2.0, 7.0], y).tolist() == [5.0, 6.0]


# Lists

LINES = [
    "anna bo carl dominique eve f gustav hermenegild ida",  # and one longer than a window
    "jo karl lulu maximilianamariaelisabeth nora o",
]


def listed(window=12, copies=3):
    lines = (" ".join(LINES) + " ").replace(" ", "\n") * copies
    classes = tuple(sorted(set(lines)))
    return Text("names", encode(lines, classes, ""), classes, window, is_list=True)


def test_judged_windows_of_a_list_answer_every_character_once_and_know_its_line_from_the_beginning():
    data = listed()
    end, n = data.classes.index("\n"), len(data.codes)
    rows = data.rows_between(0, n)
    x, y = batch(data, rows)
    assert data.count(rows) == (y != -100).sum()
    answered = y[y != -100]
    # From after the first end of a line on, in order; only the last lines do not fill a window.
    first = data.codes.tolist().index(end) + 1
    assert answered.tolist() == data.codes[first : first + len(answered)].tolist()
    assert n - 12 < first + len(answered) <= n
    for i, row in enumerate(rows.tolist()):
        k = int((y[i] != -100).sum())
        assert x[i].tolist() == data.codes[row : row + 12].tolist()
        assert y[i].tolist() == data.codes[row + 1 : row + k + 1].tolist() + [-100] * (12 - k)
        before = decode(data.codes[:row], data.classes).split("\n")[-1]
        assert x[i, 0] == end or "maximilianamariaelisabeth".startswith(before)
        assert y[i, k - 1] == end or k == 12  # a line that is longer than the window is cut
    # 25 letters and the end in windows of 12: two of each copy begin within; the last would end after the text.
    assert (x[:, 0] != end).sum() == 3 * 2 - 1


def test_learned_windows_of_a_list_begin_with_lines_and_stay_in_their_part():
    data = listed(copies=20)
    parts = split_text(data, 0.2, 0.1)
    learned = np.zeros(len(data.codes), int)
    n = len(parts.train)
    for epoch in range(30):
        order = data.order(parts.train, 4, epoch)
        assert len(order) == n and (order == data.order(parts.train, 4, epoch)).all()
        text = decode(data.codes, data.classes)
        inside = [r for r in order.tolist() if "\n" not in text[max(0, r - 1) : r + 1]]
        assert all(
            r - text.rindex("\n", 0, r) > 2 and "max" in text[r - 25 : r + 25] for r in inside
        )
        for row in order.tolist():
            learned[row + 1 : row + 1 + data.answers[row]] += 1
    assert learned[parts.validation[0] :].sum() == 0
    middle = learned[40 : parts.validation[0] - 40]
    assert middle.min() > 0 and 24 < middle.mean() < 33  # of 30 epochs


# Orders


def test_an_epoch_of_a_text_visits_every_window_once_from_a_new_offset():
    data = text(1000, 13)
    rows = split_text(data).train
    offsets = set()
    for epoch in range(200):
        order = data.order(rows, 3, epoch)
        offset = int(order.min() - rows.min())
        assert sorted(order - offset) == rows.tolist() and 0 <= offset < 13
        assert (order == data.order(rows, 3, epoch)).all()
        offsets.add(offset)
    assert offsets == set(range(13))  # 13 (12/13)^200: one is missing once in 700,000 seeds
    assert (data.order(rows, 3, 0) != data.order(rows, 4, 0)).any()


def test_the_parts_of_a_text_share_no_character():
    data = text(1000, 13)
    parts = split_text(data, 0.2, 0.1)
    seen = [set() for _ in range(3)]
    for epoch in range(40):
        for row in data.order(parts.train, 0, epoch).tolist():
            seen[0].update(range(row, row + 14))
    for i, rows in ((1, parts.validation), (2, parts.test)):
        for row in rows.tolist():
            seen[i].update(range(row, row + 14))
    assert max(seen[0]) < 700 <= min(seen[1]) and max(seen[1]) < 900 <= min(seen[2])
    assert len(seen[0]) >= 700 - 2 * 13  # and nearly all of it is used


def test_a_series_is_cut_by_time_and_every_value_is_forecast_once():
    data = series(np.arange(100.0), 10)
    parts = split_series(data, 0.15, 0.2)
    targets = [(rows + 10).tolist() for rows in (parts.train, parts.validation, parts.test)]
    assert targets == [list(range(10, 65)), list(range(65, 80)), list(range(80, 100))]


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.5, 0.5), (1.0, 0.0), (0.0, float("nan"))])
def test_impossible_shares_are_refused(shares):
    for cut in (lambda: split_text(text(), *shares), lambda: split_series(series(), *shares)):
        with pytest.raises(DataError, match="leave a part for training"):
            cut()


# Refused


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: text(window=0), OptionError, "window must be"),
        (lambda: text(window=2.5), OptionError, "window must be"),
        (lambda: text(n=7, window=7), DataError, "7 characters are too few for a window of 7"),
        (lambda: Text("t", np.zeros(9, np.int32), ("a",), 2), DataError, "only one kind"),
        (lambda: split_text(text(14, 7)), DataError, "no window of 7 for the training part"),
        (lambda: split_text(text(60, 7)), DataError, "for the validation part"),
        (lambda: series(window=7), DataError, "7 values are too few for a window of 7"),
        (lambda: series(np.array([1, 2, np.nan, 4, 5])), DataError, "s, 2: nan is not a finite"),
        (lambda: series(np.ones(9)), DataError, "every value is 1"),
        (lambda: split_series(series(), 0.3, 0.3), DataError, "training part has 3 values"),
        (lambda: encode("né", "abn", "prompt"), DataError, "prompt, character 2: 'é' is not"),
        (lambda: encode("xy", "ab", "prompt"), DataError, r"learned \(nor is 'y'\)"),
        (lambda: encode("xyz", "ab", "prompt"), DataError, r"'x' is not .* \(nor are 'y', 'z'\)"),
    ],
)
def test_what_cannot_be_learned_from_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_encode_and_decode_are_inverse():
    data = load_text()
    words = "`Curiouser and curiouser!' cried Alice\n"
    assert decode(encode(words, data.classes, "prompt"), data.classes) == words


@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
def test_characters_of_any_script_are_numbered_piece_by_piece(chunk, monkeypatch):
    monkeypatch.setattr(sequence, "CHUNK", chunk)
    words = "naïve 数 \U0001f600\ud800\n\0a"  # one is half a pair
    classes = tuple(sorted(set(words), reverse=True))
    codes = encode(words, classes, "t")
    assert codes.dtype == np.int32 and codes.tolist() == [classes.index(c) for c in words]
    assert encode("", classes, "t").shape == (0,)


@pytest.mark.parametrize(
    ("content", "times", "values"),
    [
        ("1\n2.5\n-3\n", ("line 1", "line 2", "line 3"), [1, 2.5, -3]),
        ("month,celsius\n1950-01,23.1\n1950-02,24\n", ("1950-01", "1950-02"), [23.1, 24]),
        ("\ufeffvalue\r\n1e3\r\n\r\n2\r\n", ("line 2", "line 4"), [1000, 2]),
    ],
)
def test_a_series_file_is_read_by_its_last_column(tmp_path, content, times, values):
    (tmp_path / "s.csv").write_bytes(content.encode())
    found = read_series(tmp_path / "s.csv")
    assert found[0] == times and found[1].tolist() == values


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no values"),
        ("a\n", "no values"),
        ("1\nx\n", "line 2: 'x' is not a finite number"),
        ("1\nnan\n", "line 2: 'nan'"),
        ("1\n1_0\n", "line 2: '1_0'"),
    ],
)
def test_a_series_file_that_cannot_be_used_names_the_line(tmp_path, content, words):
    (tmp_path / "s.csv").write_text(content)
    with pytest.raises(DataError, match=words) as error:
        read_series(tmp_path / "s.csv")
    assert "s.csv" in str(error.value)


def test_fingerprints_change_with_any_value_or_window():
    found = {
        d.fingerprint()
        for d in (
            text(),
            text(window=8),
            dataclasses.replace(text(), codes=text().codes[::-1]),
            series(),
            series(window=2),
            dataclasses.replace(series(), scale=5.0),
            dataclasses.replace(series(), values=series().values + math.ulp(8.0)),
        )
    }
    assert len(found) == 7
    assert text().fingerprint() == text().fingerprint()


def test_images_are_the_same_rows_with_height_width_and_a_channel():
    from pellucid.data import load_digits

    data = load_digits()
    images = data.images()
    assert images.x.shape == (1797, 8, 8, 1) and images.shape == (8, 8, 1)
    assert (images.x.reshape(1797, 64) == data.x).all() and images.n_features == 64
    x, y = batch(images, [3, 1])
    assert (x == images.x[[3, 1]]).all() and y.tolist() == data.y[[3, 1]].tolist()
    with pytest.raises(DataError, match="are no images"):
        images.images()
    assert Tensor(x).shape == (2, 8, 8, 1)
