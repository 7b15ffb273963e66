"""Stand-ins for layers that pellucid.nn does not have yet; importing this adds what is missing to nn."""

from typing import ClassVar

import numpy as np

import pellucid
from pellucid import Tensor, nn
from pellucid import functions as F


def random(fan_in, *shape):
    return Tensor.parameter(nn.init.normal(shape, fan_in**-0.5))


def zeros(*shape):
    return Tensor.parameter(np.zeros(shape, np.float32))


class Layer(nn.Module):
    """Loads PyTorch's layout as the layers of nn do."""

    layouts: ClassVar = {}

    def load_state_dict(self, state, strict=True, layout="pellucid"):
        if layout == "pytorch":
            turned = {n: a for n, a in state.items() if n in self.layouts}
            state = {
                **state,
                **{n: a.transpose(np.argsort(self.layouts[n])) for n, a in turned.items()},
            }
        super().load_state_dict(state, strict)


class Conv2d(Layer):
    layouts: ClassVar = {"weight": (3, 2, 0, 1)}

    def __init__(self, n_in, n_out, k, stride=1, padding=0, bias=True):
        self.weight = random(n_in * k * k, k, k, n_in, n_out)
        self.bias = zeros(n_out) if bias else None
        self.size, self.stride, self.padding = k, stride, padding

    def forward(self, x):
        p = (self.padding, self.padding)
        x = F.pad(x, [(0, 0), p, p, (0, 0)])
        x = F.window(F.window(x, 1, self.size, self.stride), 3, self.size, self.stride)
        y = F.einsum("nhkwlc,klco->nhwo", x, self.weight)
        return y if self.bias is None else y + self.bias


class ConvTranspose2d(Layer):
    layouts: ClassVar = {"weight": (2, 3, 0, 1)}

    def __init__(self, n_in, n_out, k, stride=1, padding=0, bias=True):
        self.weight = random(n_in * k * k, k, k, n_in, n_out)
        self.bias = zeros(n_out) if bias else None
        self.size, self.stride, self.padding = k, stride, padding

    def forward(self, x):
        _, h, w, _ = x.shape
        y = F.einsum("nhwc,klco->nhkwlo", x, self.weight)
        p, lengths = self.padding, [(n - 1) * self.stride + self.size for n in (h, w)]
        y = F.fold(F.fold(y, 1, lengths[0], self.stride), 2, lengths[1], self.stride)
        y = y[:, p : lengths[0] - p, p : lengths[1] - p]
        return y if self.bias is None else y + self.bias


class MaxPool2d(Layer):
    def __init__(self, k):
        self.size = k

    def forward(self, x):
        k = self.size
        return F.window(F.window(x, 1, k, k), 3, k, k).max((2, 4))


class BatchNorm2d(Layer):
    def __init__(self, n, eps=1e-5, momentum=0.1):
        self.weight, self.bias = Tensor.parameter(np.ones(n, np.float32)), zeros(n)
        self.running_mean = Tensor(np.zeros(n, np.float32))
        self.running_var = Tensor(np.ones(n, np.float32))
        self.eps, self.momentum = eps, momentum

    def forward(self, x):
        if not self.training:
            m, v, shift = self.running_mean, self.running_var, 0.0
        else:
            shift = x[0, 0, 0].detach()
            d = x - shift
            m = d.mean((0, 1, 2))
            v = F.maximum((d * d).mean((0, 1, 2)) - m * m, 0)
            n = x.size // x.shape[-1]
            a = self.momentum
            mean, var = (m + shift).detach(), (v * (n / (n - 1))).detach()
            self.running_mean.assign((1 - a) * self.running_mean + a * mean)
            self.running_var.assign((1 - a) * self.running_var + a * var)
        return (x - shift - m) * (self.weight / (v + self.eps).sqrt()) + self.bias


class LayerNorm(Layer):
    def __init__(self, n, eps=1e-5, bias=True):
        self.weight = Tensor.parameter(np.ones(n, np.float32))
        self.bias = zeros(n) if bias else None
        self.eps = eps

    def forward(self, x):
        d = x - x.mean(-1, keepdims=True)
        v = (d * d).mean(-1, keepdims=True)
        y = d / (v + self.eps).sqrt() * self.weight
        return y if self.bias is None else y + self.bias


class Embedding(Layer):
    def __init__(self, n, dim):
        self.weight = random(1, n, dim)

    def forward(self, x):
        return F.take(self.weight, x, axis=0)


class Recurrent(Layer):
    layouts: ClassVar = {"weight_ih_l0": (1, 0), "weight_hh_l0": (1, 0)}

    def __init__(self, n_in, n):
        self.weight_ih_l0 = random(3 * n, n_in, self.gates * n)
        self.weight_hh_l0 = random(3 * n, n, self.gates * n)
        self.bias_ih_l0, self.bias_hh_l0 = zeros(self.gates * n), zeros(self.gates * n)
        self.n = n

    def forward(self, x):
        xs = F.einsum("btc,cg->tbg", x, self.weight_ih_l0) + self.bias_ih_l0
        start = F.zeros((x.shape[0], self.n))
        start = self.start(start)
        if hasattr(pellucid, "scan"):
            carry, ys = pellucid.scan(self.step, start, xs)
        else:
            ys = []
            for x in F.unstack(xs):
                start, y = self.step(start, x)
                ys.append(y)
            carry, ys = start, F.stack(ys)
        return ys.permute(1, 0, 2), carry


class LSTM(Recurrent):
    gates = 4

    def start(self, zeros):
        return zeros, zeros

    def step(self, carry, x):
        h, c = carry
        gates = x + h @ self.weight_hh_l0 + self.bias_hh_l0
        i, f, g, o = F.split(gates, self.n, axis=1)
        c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
        h = F.sigmoid(o) * F.tanh(c)
        return (h, c), h


class GRU(Recurrent):
    gates = 3

    def start(self, zeros):
        return zeros

    def step(self, h, x):
        y = h @ self.weight_hh_l0 + self.bias_hh_l0
        (xr, xz, xn), (hr, hz, hn) = F.split(x, self.n, axis=1), F.split(y, self.n, axis=1)
        r, z = F.sigmoid(xr + hr), F.sigmoid(xz + hz)
        n = F.tanh(xn + r * hn)
        h = (1 - z) * n + z * h
        return h, h


class Unflatten(Layer):
    def __init__(self, axis, sizes):
        self.axis, self.sizes = axis, tuple(sizes)

    def forward(self, x):
        a = self.axis
        return x.reshape((*x.shape[:a], *self.sizes, *x.shape[a + 1 :]))


def binary_cross_entropy_with_logits(x, y):
    return (F.maximum(x, 0) - x * y + F.log1p(F.exp(-F.abs(x)))).mean()


def attention(q, k, v, causal=False):
    scores = F.einsum("bhtd,bhsd->bhts", q, k) * q.shape[-1] ** -0.5
    if causal:
        t, s = scores.shape[2:]
        seen = F.arange(t).reshape((t, 1)) >= F.arange(s)
        scores = F.where(seen, scores, -F.inf)
    return F.einsum("bhts,bhsd->bhtd", F.softmax(scores), v)


for found in (
    Conv2d, ConvTranspose2d, MaxPool2d, BatchNorm2d, LayerNorm, Embedding, LSTM, GRU, Unflatten,
    binary_cross_entropy_with_logits,
):  # fmt: skip
    if not hasattr(nn, found.__name__):
        setattr(nn, found.__name__, found)
if not hasattr(F, "attention"):
    F.attention = attention
if not hasattr(nn, "critic_loss"):
    from pellucid.nn import losses_gan

    for name in ("critic_loss", "generator_loss", "gradient_penalty"):
        setattr(nn, name, getattr(losses_gan, name))
