"""pellucid's adapter for the training benchmark that measures it beside other frameworks.

Training takes n steps in one native call, as `train` does for an epoch: the batches lie in memory
one behind the other and step i takes batch (start + i) % n_batches. Inference is one call per step,
each delivered as a NumPy array."""

import time as _t

_t0 = _t.perf_counter()
from pellucid import Tensor, compile, nn, optim  # noqa: E402  (this import is timed)

IMPORT_SECONDS = _t.perf_counter() - _t0

import numpy as np  # noqa: E402
import workloads as W  # noqa: E402

import pellucid  # noqa: E402

NAME, VERSION = "pellucid", pellucid.__version__
MODES = ("default",)
DISK_CACHE = ("default",)

ACTIVATION = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def supports(w, mode):
    return w["family"] == "mlp"


def set_threads(n):
    """Nothing to do: the team is as large as the affinity that the benchmark gives its process."""


def mlp(w):
    """The workload's network, with its initial weights."""
    params = W.params(w)
    layers = []
    last = len(w["sizes"]) - 2
    for i, (n_in, n_out) in enumerate(zip(w["sizes"], w["sizes"][1:], strict=False)):
        linear = nn.Linear(n_in, n_out)
        linear.load_state_dict({"weight": params[f"l{i}.w"], "bias": params[f"l{i}.b"]})
        layers.append(linear)
        activation = w["out_act"] if i == last else w["act"]
        if activation:
            layers.append(ACTIVATION[activation]())
    return nn.Sequential(*layers)


def optimizer(w, parameters):
    o = w["optimizer"]
    if o["name"] == "sgd":
        return optim.SGD(parameters, lr=o["lr"], momentum=o["momentum"])
    return optim.Adam(parameters, lr=o["lr"], betas=(o["beta1"], o["beta2"]), eps=o["eps"])


def build(w, mode):
    model = mlp(w)
    batches = W.data(w)
    n_batches, position = len(batches), 0

    if w["kind"] == "infer":
        model.eval()
        forward = compile(model)
        xs = [Tensor(x) for x, _ in batches]

        def step(n):
            nonlocal position
            for _ in range(n):
                out = forward(xs[position % n_batches]).numpy()
                position += 1
            return float(np.square(out).mean())

        return step, W.flops(w)

    opt = optimizer(w, model.parameters())
    loss_of = nn.mse_loss if w["loss"] == "mse" else nn.cross_entropy

    @compile
    def train(x, y):
        loss = loss_of(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    xs, ys = (Tensor(np.stack([batch[i] for batch in batches])) for i in (0, 1))

    def step(n):
        nonlocal position
        loss = train.many(n, xs, ys, start=position % n_batches)
        position += n
        return loss.item()

    return step, W.flops(w)
