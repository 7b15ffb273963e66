"""MNIST by a perceptron of two hidden layers: 98.3 % of the test set or more.

Dropout after Srivastava et al. (2014), section 6.1.1, with AdamW and a cosine schedule."""

from classify import accuracy, train
from common import Run, mnist

from pellucid import nn


def main() -> None:
    run = Run(__doc__)
    x, y, x_test, y_test = mnist(run.data, run.quick)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(784, 512),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(256, 10),
    )
    train(run, model, x, y, n_epochs=1 if run.quick else 30, size=128, peak=1e-3)
    found = accuracy(model, x_test, y_test)
    run.result(f"{100 * found:.2f} % of the test set", found >= 0.983, ">= 98.3 %")


if __name__ == "__main__":
    main()
