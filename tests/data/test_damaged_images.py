"""Pictures whose files are cut, altered or no pictures: named before anything is learned, never half grey."""

import io
import os
import struct
import zlib

import numpy as np
import pytest

from pellucid.base.errors import DataError
from pellucid.data.images import read_image_folder
from pellucid.data.picture_file import MAX_PIXELS, Damaged, Preparation, read_header

Image = pytest.importorskip("PIL.Image")

SIDE = 40


def scene(seed=0, mode="RGB"):
    """A picture in which every region differs: a filled-up half would be seen."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    planes = [128 + 80 * np.sin(x / 3 + c) * np.cos(y / 4 - c) for c in range(3)]
    noisy = np.stack(planes, -1) + rng.normal(0, 12, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).convert(mode)


def saved(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def thumbnail_exif():
    """EXIF with a whole JPEG inside: its end mark comes before the picture's own."""
    small = saved(scene(9).resize((8, 8)), "JPEG")
    first = struct.pack("<2sHIHI", b"II", 42, 8, 0, 14)  # no entries, then a second directory
    second = struct.pack("<H", 2) + struct.pack("<HHII", 0x0201, 4, 1, 44)
    second += struct.pack("<HHII", 0x0202, 4, 1, len(small)) + struct.pack("<I", 0)
    body = first + second
    return b"Exif\0\0" + body + b"\0" * (44 - len(body)) + small


def run_length_bmp():
    """BMP with 8 bits in runs, rows from below, written by hand: Pillow reads such files but writes none."""
    rows = np.arange(SIDE)[:, None] * 5 + (np.arange(SIDE)[None, :] // 8) * 7
    runs = b""
    for row in rows[::-1] % 256:
        for i in range(0, SIDE, 8):
            runs += bytes([8, row[i]])
        runs += b"\0\0"
    runs += b"\0\1"
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    start = 14 + 40 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", start + len(runs), 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return head + info + palette + runs


WHOLE = {
    "rgb.png": lambda: saved(scene(), "PNG"),
    "palette.png": lambda: saved(scene().quantize(32), "PNG", transparency=3),
    "deep.png": lambda: saved(
        Image.fromarray((np.arange(SIDE * SIDE, dtype=np.uint16) * 40).reshape(SIDE, SIDE)), "PNG"
    ),
    "one-bit.png": lambda: saved(scene(mode="1"), "PNG"),
    "baseline.jpg": lambda: saved(scene(), "JPEG", quality=90),
    "progressive.jpg": lambda: saved(scene(), "JPEG", progressive=True),
    "thumbnail.jpg": lambda: saved(scene(), "JPEG", exif=thumbnail_exif()),
    "restarts.jpg": lambda: saved(scene(), "JPEG", restart_marker_blocks=2),
    "cmyk.jpg": lambda: saved(scene(mode="CMYK"), "JPEG"),
    "true.bmp": lambda: saved(scene(), "BMP"),
    "palette.bmp": lambda: saved(scene().quantize(16), "BMP"),
    "runs.bmp": run_length_bmp,
    "one.gif": lambda: saved(scene(), "GIF"),
    "moving.gif": lambda: saved(
        scene(), "GIF", save_all=True, append_images=[scene(1), scene(2)], duration=100
    ),
    "lossy.webp": lambda: saved(scene(), "WEBP"),
    "lossless.webp": lambda: saved(scene(), "WEBP", lossless=True),
    "moving.webp": lambda: saved(scene(), "WEBP", save_all=True, append_images=[scene(1)]),
}
FORM = Preparation(SIDE, SIDE, 3)
N_CUTS = 16  # 17 files at 16 places: 272 cut files


def cuts(n):
    """Places all over the file, and the two ends."""
    return sorted({1, n - 1, n - 2, *np.linspace(2, n - 3, N_CUTS - 3).astype(int).tolist()})


@pytest.mark.parametrize("name", WHOLE)
def test_a_cut_file_is_named_or_has_exactly_the_pixels_of_the_whole(tmp_path, name):
    data = WHOLE[name]()
    (tmp_path / f"whole-{name}").write_bytes(data)
    whole = FORM.read(tmp_path / f"whole-{name}")
    n_named = 0
    for place in cuts(len(data)):
        path = tmp_path / f"{place}-{name}"
        path.write_bytes(data[:place])
        try:
            pixels = FORM.read(path)
        except DataError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            n_named += 1
        else:
            assert np.array_equal(pixels, whole), place
    assert len(cuts(len(data))) == N_CUTS
    # A BMP may end in bytes that no pixel needs (padding, marks): the last three cuts. Others have an end to miss.
    assert n_named >= N_CUTS - 3 * name.endswith("bmp")


def test_the_pixels_of_whole_files_are_those_that_pillow_gives(tmp_path):
    for name, make in WHOLE.items():
        data = make()
        (tmp_path / name).write_bytes(data)
        picture = Image.open(io.BytesIO(data))
        if name == "deep.png":
            grey = np.rint(np.asarray(picture) / 257).astype(np.uint8)
            expected = np.stack([grey] * 3, -1)
        elif name == "palette.png":
            rgba = np.asarray(picture.convert("RGBA"))
            expected = np.where(rgba[..., 3:] == 0, 255, rgba[..., :3])
        else:
            expected = np.asarray(picture.convert("RGB"))
        assert np.array_equal(FORM.read(tmp_path / name), expected), name


def test_a_folder_names_every_cut_file_and_keeps_every_whole_one(tmp_path):
    n_cut = 0
    for i, (name, make) in enumerate(WHOLE.items()):
        data, folder = make(), tmp_path / f"class {i % 2}"
        folder.mkdir(exist_ok=True)
        for copy in range(2):
            (folder / f"{copy}-{name}").write_bytes(data)
        (folder / f"cut-{name}").write_bytes(data[: len(data) // 2])
        n_cut += 1
    read = read_image_folder(tmp_path, size=SIDE)
    assert len(read) == 2 * len(WHOLE)
    assert sorted(os.path.basename(p) for p, _ in read.damaged) == sorted(f"cut-{n}" for n in WHOLE)
    for path, pixels in zip(read.paths, read.pixels, strict=True):
        assert np.array_equal(pixels, read.preparation.read(tmp_path / path)), path
    (note,) = (n for n in read.notes if "cannot be read" in n)
    assert note.startswith(f"{n_cut} pictures left out that cannot be read: class 0/cut-")
    with pytest.raises(DataError, match=f"{n_cut} of {3 * n_cut} pictures cannot be read: .*cut-"):
        read_image_folder(tmp_path, size=SIDE, strict=True)


def test_a_cut_that_pillow_alone_would_let_pass_is_caught():
    # All pixels are there, the end is not: a file that was still being written.
    data = WHOLE["rgb.png"]()
    Image.open(io.BytesIO(data[:-12])).load()
    with pytest.raises(Damaged, match="the file is cut"):
        from pellucid.data.picture_file import decode

        decode(data[:-12])


def test_a_flipped_bit_in_a_png_fails_its_check_sum(tmp_path):
    data = bytearray(WHOLE["rgb.png"]())
    for place in (20, len(data) // 2, len(data) - 20):
        altered = data.copy()
        altered[place] ^= 4
        (tmp_path / "a.png").write_bytes(altered)
        with pytest.raises(DataError, match=r"a\.png: .*check sum|a\.png: .*cannot be read"):
            FORM.read(tmp_path / "a.png")


def test_altered_files_give_pixels_or_a_named_error(tmp_path):
    # Fixed seed. Other formats than PNG have no check sums: what decodes may differ, but nothing else may happen.
    rng = np.random.default_rng(5)
    path = tmp_path / "a.img"
    outcomes = {"pixels": 0, "named": 0}
    for name, make in WHOLE.items():
        data = make()
        for _ in range(12):
            altered = bytearray(data)
            for place in rng.integers(0, len(data), 3):
                altered[place] = rng.integers(0, 256)
            path.write_bytes(altered)
            try:
                assert FORM.read(path).shape == FORM.shape
                outcomes["pixels"] += 1
            except DataError as error:
                assert "a.img" in str(error), name
                outcomes["named"] += 1
    assert outcomes["pixels"] > 10 and outcomes["named"] > 50


def bomb(width, height):
    """A PNG of a few hundred bytes that announces width x height pixels."""

    def part(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", head)
        + part(b"IDAT", zlib.compress(b"\0" * 1000))
        + part(b"IEND", b"")
    )


# Below and above the sizes at which Pillow itself warns (89 million) and refuses (179 million).
@pytest.mark.parametrize("side", [7_100, 9_600, 14_000, 40_000])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, side):
    assert side * side > MAX_PIXELS
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(2):
            scene(i).save(tmp_path / name / f"{i}.png")
    (tmp_path / "cat" / "bomb.png").write_bytes(bomb(side, side))
    read = read_image_folder(tmp_path)
    ((path, why),) = read.damaged
    assert path == "cat/bomb.png" and "50,000,000" in why
    assert len(read) == 4


def test_a_folder_of_mostly_unreadable_pictures_is_refused(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        scene().save(tmp_path / name / "good.png")
        for i in range(3):
            (tmp_path / name / f"{i}.jpg").write_text("<html>404 not found</html>")
    with pytest.raises(
        DataError, match=r"6 of 8 pictures cannot be read: cat/0\.jpg: it holds no PNG"
    ):
        read_image_folder(tmp_path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"B", "holds no PNG"),
        (b"BMW is a car, " * 3, "holds no PNG"),
        (b"\x89PNG\r\n\x1a\n", "begins like a PNG|is cut"),
        (b"\xff\xd8\xff\xe0", "begins like a JPEG|is cut"),
        (b"GIF89a", "begins like a GIF|is cut"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "begins like a WEBP|head cannot|is cut"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "holds no PNG"),
        (b"%PDF-1.7\n", "holds no PNG"),
        (b"P6 2 2 255 ", "holds no PNG"),
    ],
)
def test_what_is_no_picture_is_said_in_one_sentence(tmp_path, data, words):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=words):
        FORM.read(path)
    with pytest.raises(Damaged, match=words):
        read_header(path)


def test_a_pipe_or_a_folder_is_not_waited_for(tmp_path):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(DataError, match=r"pipe\.png: it is not a file"):
            FORM.read(tmp_path / "pipe.png")
    with pytest.raises(DataError, match=r"it is not a file|cannot be opened"):
        FORM.read(tmp_path)
    with pytest.raises(DataError, match=r"none\.png: there is no such file"):
        FORM.read(tmp_path / "none.png")
