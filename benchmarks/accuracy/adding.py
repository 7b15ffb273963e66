"""The adding problem, length 100: LSTM and GRU below 0.02, the plain RNN above 0.1.

Each step has a number and a mark; the answer is the sum of the two marked numbers (Hochreiter and Schmidhuber
1997, section 5.4; the form of Le et al. 2015). Always answering 1 costs 0.167. With --picture FILE.svg also draws
why: how much of the loss's gradient reaches each step, before any training and after it."""

import math
from pathlib import Path

import numpy as np
from chart import Curve, chart
from common import Run

from pellucid import Tensor, compile, grad, nn, optim

LENGTH, HIDDEN, BATCH, PEAK = 100, 64, 64, 2e-3
KINDS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}


def problems(rng: np.random.Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (.., T, 2) of (number, mark) and their sums (.., 1); one mark lies in each half."""
    x = np.zeros((*shape, LENGTH, 2), np.float32)
    x[..., 0] = rng.random((*shape, LENGTH))
    half = LENGTH // 2
    for start in (0, half):
        places = start + rng.integers(0, half, shape)
        np.put_along_axis(x[..., 1], places[..., None], 1.0, axis=-1)
    return x, (x[..., 0] * x[..., 1]).sum(-1, keepdims=True)


class Adder(nn.Module):
    """The sum, read from the last state."""

    def __init__(self, kind: str):
        self.rnn = KINDS[kind](2, HIDDEN)
        self.head = nn.Linear(HIDDEN, 1, init="torch")

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def gradient_norms(model: Adder, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Norm of d loss / d input of every step, (T,)."""

    @compile
    def slope(x, y):
        return grad(nn.mse_loss(model(x), y), x)

    g = slope(Tensor(x), Tensor(y)).numpy()
    return np.sqrt((g.astype(np.float64) ** 2).sum((0, 2)))


def train(run: Run, model: Adder, kind: str, n_steps: int) -> float:
    """Mean squared error on 2,000 new problems after n_steps."""
    parameters = list(model.parameters())
    opt = optim.Adam(parameters, lr=optim.Cosine(PEAK, n_steps), clip_norm=1.0)

    @compile
    def step(x, y):
        loss = nn.mse_loss(model(x), y)
        opt.step(grad(loss, parameters))
        return loss

    each = min(100, n_steps)
    for done in range(0, n_steps, each):
        loss = step.many(each, *problems(run.rng, each, BATCH))
        if done // each % 5 == 0:
            run.log(f"{kind} step {done + each}: {loss.item():.4f}")
    x, y = problems(np.random.default_rng(10_000 + run.seed), 2000)
    return float(np.mean((compile(model)(x).numpy() - y) ** 2))


def main() -> None:
    run = Run(__doc__, ("--picture", {"type": Path}), ("--steps", {"type": int, "default": 6000}))
    n_steps = 20 if run.quick else run.args.steps
    errors, curves = {}, []
    x, y = problems(np.random.default_rng(20_000 + run.seed), 256)
    for kind in KINDS:
        model = Adder(kind)
        curves.append(Curve(f"{kind}, untrained", gradient_norms(model, x, y), is_dashed=True))
        errors[kind] = train(run, model, kind, n_steps)
        curves.append(Curve(f"{kind}, error {errors[kind]:.4f}", gradient_norms(model, x, y)))
    if run.args.picture:
        # Relative to the last step, which every network feels.
        relative = [c.scaled(1 / max(c.values[-1], math.ulp(0.0))) for c in curves]
        title = f"Gradient of the loss by the input of each step, beside the last step's (length {LENGTH})"
        run.args.picture.write_text(chart(relative, title, "time step"), "utf-8")
    is_met = errors["LSTM"] < 0.02 and errors["GRU"] < 0.02 and errors["RNN"] > 0.1
    figure = ", ".join(f"{kind} {error:.4f}" for kind, error in errors.items())
    run.result(figure, is_met, "LSTM and GRU < 0.02, RNN > 0.1")


if __name__ == "__main__":
    main()
