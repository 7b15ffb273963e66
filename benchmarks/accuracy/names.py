"""Names, letter by letter, by an LSTM: at most 2.05 nats a letter on 1,000 names held back.

makemore's task (Karpathy): each name is its letters and an end; the first letter is predicted too."""

import numpy as np
from common import Run, shuffled

from pellucid import compile, grad, nn, optim
from pellucid.models import CharRNN

END, IGNORED = 0, -100


def arrays(names: list[str], letters: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (N, T): the end sign and the letters; targets (N, T): the letters and the end sign."""
    number = {letter: i + 1 for i, letter in enumerate(letters)}
    longest = max(map(len, names))
    x = np.full((len(names), longest + 1), END, np.int32)
    y = np.full((len(names), longest + 1), IGNORED, np.int32)
    for row, name in enumerate(names):
        ids = [number[letter] for letter in name]
        x[row, 1 : len(ids) + 1] = ids
        y[row, : len(ids) + 1] = [*ids, END]
    return x, y


def main() -> None:
    run = Run(__doc__)
    names = (run.data / "names" / "names.txt").read_text("utf-8").split()
    letters = sorted(set("".join(names)))
    names = [names[i] for i in run.rng.permutation(len(names))]
    x, y = arrays(names, letters)
    x_held, y_held, x, y = x[:1000], y[:1000], x[1000:], y[1000:]
    if run.quick:
        x, y = x[:2560], y[:2560]
    n_epochs, size, peak = 1 if run.quick else 20, 128, 3e-3

    model = CharRNN(len(letters) + 1, embed_dim=64, hidden_size=256, dropout=0.3)
    parameters = list(model.parameters())
    rate = optim.Cosine(peak, n_epochs * (len(x) // size))
    opt = optim.AdamW(parameters, lr=rate, weight_decay=0.01, clip_norm=1.0)

    def loss_of(x, y):
        return nn.cross_entropy(model(x), y, ignore_index=IGNORED)

    @compile
    def step(x, y):
        loss = loss_of(x, y)
        opt.step(grad(loss, parameters))
        return loss

    for epoch in range(n_epochs):
        order = shuffled(run.rng, len(x), size)
        for rows in np.array_split(order, max(1, len(order) // 25)):
            loss = step.many(len(rows), x[rows], y[rows])
        run.log(f"epoch {epoch + 1} of {n_epochs}: {loss.item():.3f} nats")

    model.eval()
    found = compile(loss_of)(x_held, y_held).item()
    run.result(f"{found:.3f} nats a letter on names held back", found <= 2.05, "<= 2.05")


if __name__ == "__main__":
    main()
