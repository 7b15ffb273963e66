"""Samples: noise that stays, a grid of pictures by hand, one more at every epoch."""

import numpy as np
import pytest
from PIL import Image

from pellucid import models
from pellucid.base.errors import OptionError, ShapeError
from pellucid.tensor import random


def test_noise_is_fixed_by_its_seed_and_normal():
    a = models.fixed_noise(500, 40, seed=3)
    assert a.shape == (500, 40) and a.dtype == np.float32
    assert np.array_equal(a, models.fixed_noise(500, 40, seed=3))
    assert not np.array_equal(a, models.fixed_noise(500, 40, seed=4))
    # 20,000 numbers: four standard deviations of mean and of variance
    assert abs(a.mean()) < 4 / np.sqrt(20_000) and abs(a.var() - 1) < 4 * np.sqrt(2 / 20_000)
    assert abs((a**3).mean()) < 4 * np.sqrt(15 / 20_000)
    assert abs(np.corrcoef(a[:, 0], a[:, 1])[0, 1]) < 0.2


def test_a_grid_puts_pictures_row_by_row():
    images = np.zeros((3, 2, 1, 1))
    images[0], images[1], images[2] = -1, 0, 2.0  # black, grey, beyond white
    grid = models.image_grid(images, columns=2, gap=1, background=9)
    assert grid.dtype == np.uint8
    want = [
        [9, 9, 9, 9, 9],
        [9, 0, 9, 128, 9],
        [9, 0, 9, 128, 9],
        [9, 9, 9, 9, 9],
        [9, 255, 9, 9, 9],
        [9, 255, 9, 9, 9],
        [9, 9, 9, 9, 9],
    ]
    assert grid[..., 0].tolist() == want
    assert models.image_grid(np.zeros((4, 3, 5, 3)), 4, 0).shape == (3, 20, 3)


def test_what_is_no_picture_is_refused():
    with pytest.raises(ShapeError, match="images, height, width, channels"):
        models.image_grid(np.zeros((3, 4, 4)))
    with pytest.raises(ShapeError, match="one image or more"):
        models.image_grid(np.zeros((0, 4, 4, 1)))
    with pytest.raises(OptionError, match="columns must be 1 or more"):
        models.image_grid(np.zeros((1, 4, 4, 1)), columns=0)


def test_each_epoch_gives_a_grid_of_the_same_noise(tmp_path):
    random.seed(0)
    gan = models.DCGAN(8, 1, 5, 4)
    seen = []
    samples = models.SampleGrid(
        gan, n=6, columns=3, seed=1, show=lambda epoch, grid: seen.append((epoch, grid))
    )
    before = random.get_state()
    first, again = samples(1), samples(2)
    assert np.array_equal(before, random.get_state())
    assert np.array_equal(first, again) and [epoch for epoch, _ in seen] == [1, 2]
    assert gan.generator.training  # the mode comes back
    want = gan.generator.eval()(models.fixed_noise(6, 5, seed=1)).numpy()
    assert np.array_equal(first, models.image_grid(want, 3))
    for p in gan.generator.parameters():
        p.assign(p * 3.0)
    third = samples(3)
    assert not np.array_equal(third, first)
    writer = models.SampleGrid(gan, n=6, columns=3, seed=1, show=tmp_path / "grids")
    assert np.array_equal(writer(12), third)
    with Image.open(tmp_path / "grids" / "epoch-0012.png") as image:
        assert np.array_equal(np.asarray(image), third[..., 0])
