"""Training of a classifier of images, shared by the mnist scripts."""

import numpy as np
from common import Run, shuffled

from pellucid import compile, nn, optim


def shifted(rng: np.random.Generator, images: np.ndarray, reach: int) -> np.ndarray:
    """Every image moved by up to `reach` places along both axes, empty where it came from."""
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (height, width), (1, 2))
    rows, columns = rng.integers(0, 2 * reach + 1, (2, n))
    return views[np.arange(n), rows, columns].transpose(0, 2, 3, 1)


def train(
    run: Run,
    model: nn.Module,
    x,
    y,
    n_epochs: int,
    size: int,
    peak: float,
    reach: int = 0,
    loss_of=nn.cross_entropy,
    weight_decay: float = 1e-4,
):
    """AdamW with a cosine schedule. reach: see `shifted`; loss_of(outputs, y)."""
    rate = optim.Cosine(peak, n_epochs * (len(x) // size))
    opt = optim.AdamW(model.parameters(), lr=rate, weight_decay=weight_decay)

    @compile
    def step(x, y):
        loss = loss_of(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    model.train()
    for epoch in range(n_epochs):
        order = shuffled(run.rng, len(x), size)
        for rows in np.array_split(order, max(1, len(order) // 50)):
            inputs = x[rows.reshape(-1)]
            if reach:
                inputs = shifted(run.rng, inputs, reach)
            inputs = np.ascontiguousarray(inputs.reshape(*rows.shape, *x.shape[1:]))
            loss = step.many(len(rows), inputs, y[rows])
        run.log(f"epoch {epoch + 1} of {n_epochs}: loss of the last batch {loss.item():.4f}")


def probabilities(model: nn.Module, images: np.ndarray, size: int = 500) -> np.ndarray:
    """What the model gives each class, (N, classes)."""
    model.eval()
    forward = compile(lambda x: model(x).softmax(-1))
    parts = [forward(images[i : i + size]).numpy() for i in range(0, len(images), size)]
    return np.concatenate(parts)


def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose most likely class is the label."""
    return float((probabilities(model, images).argmax(-1) == labels).mean())
