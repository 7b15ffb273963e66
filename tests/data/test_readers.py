"""Pictures and CSV files reach the network in the units that it was trained on, or are refused."""

import numpy as np
import pytest

from pellucid.base.errors import DataError
from pellucid.data import load_digits, read_image, read_pixels

Image = pytest.importorskip("PIL.Image")


def save(path, grey):
    Image.fromarray(np.asarray(grey, np.uint8)).save(path)
    return path


def test_an_8_by_8_picture_is_taken_as_it_is(tmp_path):
    x = load_digits().x[:20].reshape(20, 8, 8)
    for i, image in enumerate(x):
        white_on_black = read_image(save(tmp_path / f"{i}.png", image * 255))
        black_on_white = read_image(save(tmp_path / f"{i}i.png", 255 - image * 255))
        # a grey step is 1/255; the darkest pixel is stretched to full ink
        expected = image.reshape(-1) / image.max()
        np.testing.assert_allclose(white_on_black, expected, atol=0.005)
        np.testing.assert_allclose(black_on_white, expected, atol=0.005)


def test_a_large_picture_is_cut_out_and_scaled_to_full_height(tmp_path):
    paper = np.full((200, 300), 250)
    paper[40:160, 100:130] = 10  # a one: 120 high, 30 wide
    image = read_image(save(tmp_path / "one.png", paper)).reshape(8, 8)
    assert (image[:, 3:5] == 1).all()  # 8 of 32 columns wide: two blocks, in the middle
    assert image[:, :3].max() == 0 and image[:, 5:].max() == 0


def test_transparent_paper_is_white(tmp_path):
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[5:35, 15:25, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "t.png")
    assert read_image(tmp_path / "t.png").reshape(8, 8)[:, 3:5].min() > 0.5


@pytest.mark.parametrize("size", [1, 2, 7, 9, 31, 64, 257])
def test_pictures_of_any_size_give_64_values_of_0_to_1(tmp_path, size):
    grey = np.random.default_rng(size).integers(0, 256, (size, size))
    grey[0] = 255
    if size == 1:
        with pytest.raises(DataError, match="no ink"):
            read_image(save(tmp_path / "a.png", grey))
        return
    x = read_image(save(tmp_path / "a.png", grey))
    assert x.shape == (64,) and x.dtype == np.float32 and x.min() >= 0 and x.max() <= 1


def test_pictures_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    whole = save(
        tmp_path / "whole.png", np.random.default_rng(0).integers(0, 256, (60, 60))
    ).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    save(tmp_path / "white.png", np.full((50, 50), 255))
    for name, words in {
        "text.png": "holds no PNG",
        "cut.png": "the file is cut",
        "white.png": "no ink",
        "none.png": "no such file",
    }.items():
        with pytest.raises(DataError, match=words) as error:
            read_image(tmp_path / name)
        assert name in str(error.value)


def test_csv_of_pixels_is_scaled_and_keeps_its_labels(tmp_path):
    data = load_digits()
    path = tmp_path / "d.csv"
    raw = np.column_stack([data.x[:5] * 16, data.y[:5]]).astype(int)
    path.write_text("\n".join(",".join(map(str, row)) for row in raw) + "\n")
    rows = read_pixels(path)
    assert np.array_equal(rows.x, data.x[:5])
    assert rows.labels is not None and rows.labels.tolist() == data.y[:5].tolist()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_may_have_a_header_a_mark_of_utf8_and_blank_lines(tmp_path, newline):
    lines = [
        "\ufeff" + ",".join(f"p{i}" for i in range(64)),
        ",".join(["3"] * 64),
        "",
        ",".join(["16"] * 64),
        "",
    ]
    (tmp_path / "d.csv").write_bytes(newline.join(lines).encode())
    rows = read_pixels(tmp_path / "d.csv")
    assert rows.labels is None and rows.x[:, 0].tolist() == [3 / 16, 1]


GOOD = ",".join(["1"] * 64)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no rows of numbers"),
        ("a,b,c\n", "no rows of numbers"),
        ("1,2,3\n", "line 1: 3 columns; this model takes 64"),
        (GOOD + "\n1,2\n", "line 2: 2 columns where the first row has 64"),
        (GOOD + "\n" + GOOD + ",9\n", "line 2: 65 columns"),
        (GOOD + "\n" + GOOD.replace("1", "x", 1) + "\n", "line 2, column 1: 'x' is not a number"),
        ("x" + GOOD[1:] + "\n", "line 1, column 1: 'x' is not a number"),
        ("nan" + GOOD[1:] + "\n", "line 1, column 1: 'nan' is not a finite"),
        ("1e400" + GOOD[1:] + "\n", "is not a finite"),
        ("1_0" + GOOD[1:] + "\n", "'1_0' is not a number"),
        ("255" + GOOD[1:] + "\n", r"255 is outside 0..16.*divide by 15.94"),
        ("-1" + GOOD[1:] + "\n", "-1 is outside"),
        (GOOD + ",1.5\n", "column 65: label 1.5 is not a whole number"),
        (GOOD[:-1] + '"1\n', "is not a number|cannot be read"),
        (GOOD[:-1] + "\x00\n", "is not a number|cannot be read"),
    ],
)
def test_csv_that_cannot_be_used_names_line_and_column(tmp_path, text, words):
    path = tmp_path / "d.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as error:
        read_pixels(path)
    assert "d.csv" in str(error.value)


def test_csv_in_another_encoding_is_named(tmp_path):
    (tmp_path / "d.csv").write_bytes("1;2;ü".encode("utf-16"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_pixels(tmp_path / "d.csv")
