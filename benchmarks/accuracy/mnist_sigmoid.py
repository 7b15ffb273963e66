"""MNIST by the network of 3Blue1Brown's series: 784-16-16-10, a sigmoid after every layer, squared error: 93 %.

G. Sanderson (2017), "But what is a neural network?" and "Gradient descent, how neural networks learn"."""

import numpy as np
from classify import accuracy, train
from common import Run, mnist

from pellucid import nn


def main() -> None:
    run = Run(__doc__)
    x, y, x_test, y_test = mnist(run.data, run.quick)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 16, init="glorot"),
        nn.Sigmoid(),
        nn.Linear(16, 16, init="glorot"),
        nn.Sigmoid(),
        nn.Linear(16, 10, init="glorot"),
        nn.Sigmoid(),
    )
    wanted = np.eye(10, dtype=np.float32)[y]
    n_epochs = 1 if run.quick else 30
    train(run, model, x, wanted, n_epochs, 32, 5e-3, loss_of=nn.mse_loss, weight_decay=0.0)
    found = accuracy(model, x_test, y_test)
    run.result(f"{100 * found:.2f} % of the test set", found >= 0.93, ">= 93 %")


if __name__ == "__main__":
    main()
