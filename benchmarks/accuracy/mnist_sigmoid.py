"""MNIST by the network of 3Blue1Brown's series: 784-16-16-10, a sigmoid after every layer, squared error: 93 %.

G. Sanderson (2017), "But what is a neural network?" and "Gradient descent, how neural networks learn"."""

import numpy as np
from classify import accuracy
from common import Run, mnist, shuffled

from pellucid import compile, nn, optim


def main() -> None:
    run = Run(__doc__)
    x, y, x_test, y_test = mnist(run.data)
    if run.quick:
        x, y, x_test, y_test = x[:2000], y[:2000], x_test[:500], y_test[:500]
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 16, init="glorot"),
        nn.Sigmoid(),
        nn.Linear(16, 16, init="glorot"),
        nn.Sigmoid(),
        nn.Linear(16, 10, init="glorot"),
        nn.Sigmoid(),
    )
    n_epochs, size = 1 if run.quick else 30, 32
    n_steps = n_epochs * (len(x) // size)
    opt = optim.Adam(model.parameters(), lr=optim.Cosine(5e-3, n_steps))
    wanted = np.eye(10, dtype=np.float32)[y]

    @compile
    def step(x, y):
        loss = nn.mse_loss(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    for epoch in range(n_epochs):
        rows = shuffled(run.rng, len(x), size)
        loss = step.many(len(rows), x[rows], wanted[rows])
        run.log(f"epoch {epoch + 1} of {n_epochs}: loss of the last batch {loss.item():.4f}")
    found = accuracy(model, x_test, y_test)
    run.result(f"{100 * found:.2f} % of the test set", found >= 0.93, ">= 93 %")


if __name__ == "__main__":
    main()
