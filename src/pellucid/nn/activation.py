"""Activations as modules, one row each in ACTIVATIONS; the functions are the tensor floor's."""

from ..base.errors import OptionError
from ..tensor import functions as F
from ..tensor.tensor import Tensor
from .init import nearest
from .module import Module


class Activation(Module):
    """Base: a function of each element, without parameters."""

    def config(self) -> dict:
        return {}


class Identity(Activation):
    """f(x) = x."""

    def forward(self, x):
        return x


class ReLU(Activation):
    """f(x) = max(0, x). Its gradient at 0 is 0."""

    def forward(self, x):
        return F.relu(x)


class LeakyReLU(Activation):
    """f(x) = x where x > 0, negative_slope * x elsewhere."""

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = float(negative_slope)

    def forward(self, x):
        return F.leaky_relu(x, self.negative_slope)

    def config(self) -> dict:
        return {"negative_slope": self.negative_slope}

    def extra_repr(self) -> str:
        return f"{self.negative_slope:g}"


class GELU(Activation):
    """f(x) = x * Phi(x), Phi the normal distribution. Hendrycks and Gimpel (2016); 'tanh' is their approximation."""

    def __init__(self, approximate: str = "none"):
        self.approximate = nearest(approximate, ("none", "tanh"), "approximation of GELU")

    def forward(self, x):
        return F.gelu(x, approximate=self.approximate)

    def config(self) -> dict:
        return {"approximate": self.approximate}

    def extra_repr(self) -> str:
        return "" if self.approximate == "none" else self.approximate


class Sigmoid(Activation):
    """f(x) = 1 / (1 + exp(-x))."""

    def forward(self, x):
        return F.sigmoid(x)


class Tanh(Activation):
    """f(x) = tanh(x)."""

    def forward(self, x):
        return x.tanh()


class Softmax(Activation):
    """Scores to probabilities that sum to 1 along an axis."""

    def __init__(self, axis: int = -1):
        self.axis = int(axis)

    def forward(self, x):
        return F.softmax(x, self.axis)

    def config(self) -> dict:
        return {"axis": self.axis}


class Step(Activation):
    """f(x) = 1 where x > threshold, 0 elsewhere. Its gradient is 0: such a neuron does not learn."""

    def __init__(self, threshold: float = 0.0):
        self.threshold = float(threshold)

    def forward(self, x):
        if not isinstance(x, Tensor):
            x = Tensor(x, dtype="float64")
        return (x > self.threshold).astype(x.dtype if x.dtype.kind == "f" else "float32")

    def config(self) -> dict:
        return {"threshold": self.threshold}

    def extra_repr(self) -> str:
        return f"threshold={self.threshold:g}"


def step(threshold: float = 0.0) -> Step:
    """The step function with its threshold: step(.5)(.7) is 1, step(.5)(.5) is 0."""
    return Step(threshold)


# the name a person gives -> its module
ACTIVATIONS: dict[str, type[Activation]] = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "gelu": GELU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "step": Step,
    "softmax": Softmax,
    "linear": Identity,
}


def activation(name: str) -> Activation:
    """A new module by name; a typo suggests the nearest."""
    if not isinstance(name, str):
        raise OptionError(f"an activation is named by a word, like 'relu'; got {name!r}.")
    return ACTIVATIONS[nearest(name.replace("-", "_"), ACTIVATIONS, "activation")]()
