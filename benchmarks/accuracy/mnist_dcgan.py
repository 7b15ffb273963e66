"""Digits made by a DCGAN, judged by the network of mnist_cnn.py: all ten digits, mean confidence 0.9 or more.

    python mnist_cnn.py DATA --save judge.safetensors
    python mnist_dcgan.py DATA judge.safetensors --picture samples.png

Radford et al. (2016), with the critic's penalty of Mescheder et al. (2018): without it the critic wins, some digits
become rare and the confidence stays at 0.89. The judge's confidence in an image is the probability of the class
that it names; on the real test set it is about 0.99. A digit appears when it is named for at least 1 % of 2,000
samples."""

from pathlib import Path

import numpy as np
from classify import probabilities
from common import Run, mnist, shuffled
from mnist_cnn import network
from PIL import Image

from pellucid import compile, optim
from pellucid.formats import safetensors
from pellucid.models import DCGAN

SIZE, LATENT, PEAK, GAMMA = 64, 64, 1.5e-3, 0.5
DECAY = 0.999  # of the average of the generator's weights: about the last epoch's


def save_grid(path: Path, images: np.ndarray, n_columns: int) -> None:
    """Images (N, H, W, 1) in 0..1 as one PNG, row by row."""
    n, height, width, _ = images.shape
    grid = images.reshape(n // n_columns, n_columns, height, width).transpose(0, 2, 1, 3)
    grid = grid.reshape(-1, n_columns * width)
    Image.fromarray(np.round(255 * grid).astype(np.uint8)).save(path, optimize=True)


def main() -> None:
    run = Run(
        __doc__,
        ("judge", {"type": Path, "help": "weights that mnist_cnn.py saved"}),
        ("--picture", {"type": Path, "help": "PNG of 10 x 10 samples, not chosen"}),
        ("--save", {"type": Path, "help": "weights of both networks"}),
        ("--epochs", {"type": int, "default": 14}),
    )
    images, *_ = mnist(run.data)
    images = 2 * (images[:1280] if run.quick else images) - 1
    n_epochs = 1 if run.quick else run.args.epochs

    gan = DCGAN(image_size=28, channels=1, latent=LATENT, width=32)
    rate = optim.Cosine(PEAK, n_epochs * (len(images) // SIZE))
    generator, critic = (
        optim.Adam(part.parameters(), lr=rate, betas=(0.0, 0.999))
        for part in (gan.generator, gan.critic)
    )
    # Samples come from averaged weights: the last ones swing with the critic (Karras et al. 2018, section 6).
    floats = [t for _, t in gan.generator.named_buffers() if t.dtype.kind == "f"]
    average = optim.ExponentialAverage([*gan.generator.parameters(), *floats], DECAY)
    both = gan.step(generator, critic, GAMMA)

    @compile
    def step(rows):
        losses = both(rows)
        average.update()
        return losses

    for epoch in range(n_epochs):
        order = shuffled(run.rng, len(images), SIZE)
        for rows in np.array_split(order, max(1, len(order) // 50)):
            losses = step.many(len(rows), images[rows])
        critic_loss, generator_loss = (loss.item() for loss in losses)
        run.log(
            f"epoch {epoch + 1} of {n_epochs}: critic {critic_loss:.3f}, generator {generator_loss:.3f}"
        )

    average.swap()
    if run.args.save:
        safetensors.save(run.args.save, gan.state_dict())
    gan.eval()
    make = compile(gan)
    noise = run.rng.standard_normal((2000, LATENT), np.float32)
    samples = np.concatenate([make(part).numpy() for part in np.split(noise, 20)]) / 2 + 0.5
    if run.args.picture:
        save_grid(run.args.picture, samples[:100], 10)
    judge = network()
    judge.load_state_dict(safetensors.load(run.args.judge)[0])
    p = probabilities(judge, samples)
    confidence = float(p.max(-1).mean())
    counts = np.bincount(p.argmax(-1), minlength=10)
    n_digits = int((counts >= len(samples) // 100).sum())
    run.log(f"samples named 0..9: {counts.tolist()}")
    figure = f"{n_digits} digits, mean confidence {confidence:.3f}"
    run.result(figure, n_digits == 10 and confidence >= 0.9, "10 digits, >= 0.9")


if __name__ == "__main__":
    main()
