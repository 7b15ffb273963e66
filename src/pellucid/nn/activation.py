"""Activations as modules, one row each in ACTIVATIONS; the functions are the tensor floor's."""

import numpy as np

from ..base import dtypes
from ..base.errors import OptionError, ShapeError
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


class PReLU(Activation):
    """f(x) = x where x > 0, weight * x elsewhere; the weight is learned. He et al. (2015).

    num_parameters  1, or one for each feature of the last axis"""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype=dtypes.float32):
        if isinstance(num_parameters, bool) or not num_parameters >= 1:
            raise OptionError(f"PReLU: num_parameters must be 1 or more; got {num_parameters!r}.")
        self.num_parameters = int(num_parameters)
        self._init = float(init)
        self.weight = Tensor.parameter(
            np.full((self.num_parameters,), init, dtypes.of(dtype).numpy)
        )

    def forward(self, x):
        if self.num_parameters > 1 and tuple(x.shape[-1:]) != (self.num_parameters,):
            raise ShapeError(
                f"PReLU({self.num_parameters}) got shape {tuple(x.shape)}: its last axis must be "
                f"{self.num_parameters}. For {x.shape[-1] if x.ndim else 1} features use "
                f"PReLU({x.shape[-1] if x.ndim else 1})."
            )
        return F.prelu(x, self.weight)

    def config(self) -> dict:
        return {"num_parameters": self.num_parameters, "init": self._init}

    def extra_repr(self) -> str:
        return f"{self.num_parameters}"


class ELU(Activation):
    """f(x) = x where x > 0, alpha * (exp(x) - 1) elsewhere. Clevert et al. (2015)."""

    def __init__(self, alpha: float = 1.0):
        self.alpha = float(alpha)

    def forward(self, x):
        return F.elu(x, self.alpha)

    def config(self) -> dict:
        return {"alpha": self.alpha}

    def extra_repr(self) -> str:
        return f"{self.alpha:g}"


class SELU(Activation):
    """f(x) = 1.0507 * elu(x, 1.6733): keeps mean 0 and variance 1. Klambauer et al. (2017)."""

    def forward(self, x):
        return F.selu(x)


class ReLU6(Activation):
    """f(x) = min(max(0, x), 6). Howard et al. (2017)."""

    def forward(self, x):
        return F.relu6(x)


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


class LogSigmoid(Activation):
    """f(x) = log(1 / (1 + exp(-x)))."""

    def forward(self, x):
        return F.log_sigmoid(x)


class Hardsigmoid(Activation):
    """f(x) = x / 6 + 1 / 2, between 0 and 1."""

    def forward(self, x):
        return F.hardsigmoid(x)


class SiLU(Activation):
    """f(x) = x / (1 + exp(-x)), also called swish. Elfwing et al. (2017)."""

    def forward(self, x):
        return F.silu(x)


class Hardswish(Activation):
    """f(x) = x * hardsigmoid(x). Howard et al. (2019)."""

    def forward(self, x):
        return F.hardswish(x)


class Mish(Activation):
    """f(x) = x * tanh(log(1 + exp(x))). Misra (2019)."""

    def forward(self, x):
        return F.mish(x)


class Softplus(Activation):
    """f(x) = log(1 + exp(beta * x)) / beta; x itself where beta * x > threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        self.beta, self.threshold = float(beta), float(threshold)

    def forward(self, x):
        return F.softplus(x, self.beta, self.threshold)

    def config(self) -> dict:
        return {"beta": self.beta, "threshold": self.threshold}

    def extra_repr(self) -> str:
        return f"beta={self.beta:g}, threshold={self.threshold:g}"


class Tanh(Activation):
    """f(x) = tanh(x)."""

    def forward(self, x):
        return x.tanh()


class Hardtanh(Activation):
    """f(x) = x, between min_val and max_val."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0):
        if not min_val < max_val:
            raise OptionError(f"Hardtanh: min_val {min_val!r} must be below max_val {max_val!r}.")
        self.min_val, self.max_val = float(min_val), float(max_val)

    def forward(self, x):
        return F.hardtanh(x, self.min_val, self.max_val)

    def config(self) -> dict:
        return {"min_val": self.min_val, "max_val": self.max_val}

    def extra_repr(self) -> str:
        return f"{self.min_val:g}, {self.max_val:g}"


class AlongAxis(Activation):
    """Base: a function of all elements along one axis."""

    def __init__(self, axis: int = -1):
        self.axis = int(axis)

    def config(self) -> dict:
        return {"axis": self.axis}


class Softmax(AlongAxis):
    """Scores to probabilities that sum to 1 along an axis."""

    def forward(self, x):
        return F.softmax(x, self.axis)


class LogSoftmax(AlongAxis):
    """log(softmax(x)) along an axis, without numbers that round to 0."""

    def forward(self, x):
        return F.log_softmax(x, self.axis)


class GLU(AlongAxis):
    """a * sigmoid(b), a and b the halves of x along an axis: half as many features come out.
    Dauphin et al. (2017)."""

    def forward(self, x):
        return F.glu(x, self.axis)


class SwiGLU(AlongAxis):
    """silu(a) * b, a and b the halves of x along an axis: half as many features come out. Shazeer (2020)."""

    def forward(self, x):
        return F.swiglu(x, self.axis)


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
    "prelu": PReLU,
    "relu6": ReLU6,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "swish": SiLU,
    "mish": Mish,
    "softplus": Softplus,
    "sigmoid": Sigmoid,
    "log_sigmoid": LogSigmoid,
    "hardsigmoid": Hardsigmoid,
    "hardswish": Hardswish,
    "tanh": Tanh,
    "hardtanh": Hardtanh,
    "step": Step,
    "softmax": Softmax,
    "log_softmax": LogSoftmax,
    "glu": GLU,
    "swiglu": SwiGLU,
    "linear": Identity,
}


def activation(name: str) -> Activation:
    """A new module by name; a typo suggests the nearest."""
    if not isinstance(name, str):
        raise OptionError(f"an activation is named by a word, like 'relu'; got {name!r}.")
    return ACTIVATIONS[nearest(name.replace("-", "_"), ACTIVATIONS, "activation")]()
