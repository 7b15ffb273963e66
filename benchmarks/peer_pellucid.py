"""pellucid's adapter for the training benchmark that measures it beside other frameworks.

Training takes n steps in one native call, as `train` does for an epoch: the batches lie in memory
one behind the other and step i takes batch (start + i) % n_batches. Inference is one call per step,
each delivered as a NumPy array. The networks: peer_networks.py."""

import time as _t

_t0 = _t.perf_counter()
from pellucid import Tensor, compile, grad, nn, optim  # noqa: E402  (this import is timed)

IMPORT_SECONDS = _t.perf_counter() - _t0

import numpy as np  # noqa: E402
import peer_networks  # noqa: E402
import workloads as W  # noqa: E402

import pellucid  # noqa: E402

NAME, VERSION = "pellucid", pellucid.__version__
MODES = ("default",)
DISK_CACHE = ("default",)


def supports(w, mode):
    return w["family"] in peer_networks.FAMILIES


def set_threads(n):
    """Nothing to do: the team is as large as the affinity that the benchmark gives its process."""


def optimizers(w, parameters):
    """One optimizer, or two where the decay is for some parameters only."""
    o, parameters = w["optimizer"], list(parameters)
    if o["name"] == "sgd":
        decay = o["weight_decay"]
        return [optim.SGD(parameters, lr=o["lr"], momentum=o["momentum"], weight_decay=decay)]
    adam = {"lr": o["lr"], "betas": (o["beta1"], o["beta2"]), "eps": o["eps"]}
    if o["name"] == "adam":
        return [optim.Adam(parameters, **adam)]
    decayed = [p for p in parameters if p.ndim >= o["decay_min_ndim"]]
    kept = [p for p in parameters if p.ndim < o["decay_min_ndim"]]
    return [
        optim.AdamW(decayed, weight_decay=o["weight_decay"], **adam),
        optim.AdamW(kept, weight_decay=0.0, **adam),
    ]


def supervised_step(w, model):
    """One step of training on inputs and targets; returns the loss before the update."""
    opts = optimizers(w, model.parameters())

    def train(x, y):
        out = model(x)
        if w["loss"] == "mse":
            loss = nn.mse_loss(out, y)
        else:
            loss = nn.cross_entropy(out.reshape((-1, out.shape[-1])), y.reshape((-1,)))
        for opt in opts:
            opt.zero_grad()
        loss.backward()
        for opt in opts:
            opt.step()
        return loss

    return train


def adversarial_step(w, gan):
    """One step of the discriminator on real and generated images, then one of the generator
    through the discriminator just updated; returns the sum of the two losses."""
    g_parameters, d_parameters = list(gan.g.parameters()), list(gan.d.parameters())
    (g_opt,), (d_opt,) = optimizers(w, g_parameters), optimizers(w, d_parameters)
    bce = nn.binary_cross_entropy_with_logits
    is_real, is_fake = (np.full((w["batch"], 1), v, np.float32) for v in (1, 0))

    def train(real, noise):
        fake = gan.g(noise)
        d_loss = bce(gan.d(real), is_real) + bce(gan.d(fake.detach()), is_fake)
        d_opt.step(grad(d_loss, d_parameters))
        g_loss = bce(gan.d(fake), is_real)
        g_opt.step(grad(g_loss, g_parameters))
        return d_loss + g_loss

    return train


def batches_of(w):
    """Two arrays of all batches' inputs and targets, images with their channels last."""
    pairs = zip(*W.data(w), strict=True)
    stacked = [np.stack(arrays) for arrays in pairs]
    return [np.ascontiguousarray(np.moveaxis(a, 2, -1)) if a.ndim == 5 else a for a in stacked]


def build(w, mode):
    model = peer_networks.network(w)
    xs, ys = batches_of(w)
    n_batches, position = len(xs), 0

    if w["kind"] == "infer":
        model.eval()
        forward = compile(model)
        inputs = [Tensor(x) for x in xs]

        def step(n):
            nonlocal position
            for _ in range(n):
                out = forward(inputs[position % n_batches]).numpy()
                position += 1
            return float(np.square(out).mean())

        return step, W.flops(w)

    model.train()
    train = compile((adversarial_step if w["family"] == "gan" else supervised_step)(w, model))
    xs, ys = Tensor(xs), Tensor(ys)

    def step(n):
        nonlocal position
        loss = train.many(n, xs, ys, start=position % n_batches)
        position += n
        return loss.item()

    return step, W.flops(w)
