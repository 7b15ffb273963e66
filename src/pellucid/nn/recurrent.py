"""RNN, LSTM and GRU over sequences, and their cells for one step.

Takes x (B, T, F), gives (B, T, H) and the final state. What x contributes to all steps is one contraction
before the loop; the loop over time, one `scan`, multiplies the state only. Names, gate order and the two
biases are PyTorch's; weights are laid out (in, gates * H)."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.errors import DTypeError, IndexRangeError, OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.attention import dropped, known_values
from ..tensor.scan import scan
from ..tensor.tensor import Tensor, as_tensor
from . import init as initial
from .module import Module

# B batch, T time, F features of x, H hidden size, L layers, D directions

State = tuple[Tensor, ...]  # (h,), for LSTM (h, c); each (B, H)


def _size(layer: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise OptionError(f"{layer}: {name} must be a whole number of 1 or more; got {value!r}.")
    return int(value)


# ---- one step: gates of x (B, gates * H), the state, weight_hh, bias_hh where it is not yet in the gates


def _gate(x: Tensor) -> Tensor:
    """sigmoid(x) = (1 + tanh(x / 2)) / 2. The derivative of tanh reads its value only, so that a step
    keeps one array for each gate; near 0 the relative error is that of a number near 1, which is enough
    for a factor."""
    return (x * 0.5).tanh() * 0.5 + 0.5


def _rnn_step(activation: str):
    def step(gates: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None) -> State:
        """h' = tanh(W_ih x + b_ih + W_hh h + b_hh). Elman (1990)."""
        (h,) = state
        z = gates + h @ weight_hh
        return (z.tanh() if activation == "tanh" else z.relu(),)

    return step


def _lstm_step(gates: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None) -> State:
    """c' = f * c + i * g, h' = o * tanh(c'). Hochreiter and Schmidhuber (1997); the forget gate f is of
    Gers et al. (2000). Gate order i, f, g, o."""
    h, c = state
    n = h.shape[-1]
    i, f, g, o = F.split(gates + h @ weight_hh, n, -1)
    c = _gate(f) * c + _gate(i) * g.tanh()
    return _gate(o) * c.tanh(), c


def _gru_step(gates: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None) -> State:
    """h' = (1 - z) * n + z * h with n = tanh(W_in x + b_in + r * (W_hn h + b_hn)). Cho et al. (2014), in
    the form whose reset gate r comes after the product (PyTorch's, cuDNN's). Gate order r, z, n."""
    (h,) = state
    size = h.shape[-1]
    own = h @ weight_hh
    if bias_hh is not None:
        own = own + bias_hh
    xr, xz, xn = F.split(gates, size, -1)
    hr, hz, hn = F.split(own, size, -1)
    r, z = _gate(xr + hr), _gate(xz + hz)
    n = (xn + r * hn).tanh()
    return (n + z * (h - n),)


# ---- whole sequences


class Recurrent(Module):
    """Base of RNN, LSTM and GRU; not used alone.

    x         (B, T, F), or (T, F) for one sequence without a batch
    state     the first state, zeros when left out: (L * D, B, H), for LSTM a pair (h, c) of these;
              rows in PyTorch's order: layer 0 forwards, layer 0 backwards, layer 1 forwards ...
    lengths   (B,) how many steps of each sequence are real, 0 to T
    mask      (B, T) bool, True at real steps: the same in another form
    returns   (output (B, T, D * H), final state in the form of `state`)

    Where a step is not real the state is held and the output is 0, so the final state is that of the last
    real step, as with PyTorch's packed sequences. Backwards, each sequence begins at its own last step.
    weight_ih_l{k} (F or D * H, gates * H), weight_hh_l{k} (H, gates * H), bias_ih_l{k}, bias_hh_l{k}
    (gates * H,); with the ending _reverse for the way back. All begin even between -1/sqrt(H) and 1/sqrt(H)."""

    _n_gates = 1
    _n_states = 1
    # Whether b_hh can be added before the loop: not in GRU, where the reset gate multiplies it.
    _bias_joins = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        batch_first: bool = True,
        dtype: Any = dtypes.float32,
    ):
        kind = type(self).__name__
        self.input_size = _size(kind, "input_size", input_size)
        self.hidden_size = _size(kind, "hidden_size", hidden_size)
        self.num_layers = _size(kind, "num_layers", num_layers)
        check_batch_first(kind, batch_first)
        if isinstance(dropout, bool) or not 0.0 <= dropout <= 1.0:
            raise OptionError(
                f"{kind}: dropout is the chance that a value is zeroed, 0 to 1; got {dropout!r}."
            )
        if dropout and num_layers == 1:
            warnings.warn(
                f"{kind}: dropout={dropout:g} acts between layers, and there is one layer: it does nothing. "
                "Use num_layers=2 or more, or a Dropout after it.",
                stacklevel=2 + (type(self).__init__ is not Recurrent.__init__),  # the caller
            )
        self.bias, self.dropout = bool(bias), float(dropout)
        self.bidirectional = bool(bidirectional)
        layouts = {}
        h, gates = self.hidden_size, self._n_gates * self.hidden_size
        for layer in range(self.num_layers):
            n_in = self.input_size if layer == 0 else h * self.n_directions
            for end in self._endings(layer):
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (n_in, gates),
                    "weight_hh": (h, gates),
                }
                if self.bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                for name, shape in shapes.items():
                    setattr(
                        self,
                        f"{name}_{end}",
                        Tensor.parameter(initial.torch_recurrent(shape, h, dtype)),
                    )
                    if len(shape) == 2:
                        layouts[f"{name}_{end}"] = (1, 0)
        self.layouts = layouts

    def _step(self, gates: Tensor, state: State, weight_hh: Tensor, bias: Tensor | None) -> State:
        raise NotImplementedError(f"{type(self).__name__} must define one step")

    @property
    def n_directions(self) -> int:
        """2 when bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def _endings(self, layer: int) -> list[str]:
        return [f"l{layer}", f"l{layer}_reverse"][: self.n_directions]

    def forward(self, x: Tensor, state: Any = None, lengths: Any = None, mask: Any = None):
        x = as_tensor(x)
        is_single = x.ndim == 2
        if is_single:
            x = x.unsqueeze(0)
        self._check_input(x, is_single)
        b, t = x.shape[:2]
        real = self._real_steps(lengths, mask, b, t)
        first = self._first_state(state, b, x.dtype, is_single)
        final: list[State] = []
        y = x
        for layer in range(self.num_layers):
            if layer and self.training:
                y = dropped(y, self.dropout)
            ways = []
            for end in self._endings(layer):
                # time-major: the loop reads (B, gates * H) that lie side by side
                equation = "btf,fg->tbg" if layer == 0 else "tbf,fg->tbg"
                last, ys = self._walk(equation, y, end, first[len(final)], real)
                final.append(last)
                ways.append(ys)
            y = ways[0] if len(ways) == 1 else F.concat(ways, -1)
        output = y.permute(1, 0, 2)
        ends = [F.stack(parts) for parts in zip(*final, strict=True)]
        if is_single:
            output, ends = output[0], [e[:, 0] for e in ends]
        return output, (tuple(ends) if self._n_states > 1 else ends[0])

    def _walk(
        self, equation: str, x: Tensor, end: str, first: State, real: Tensor | None
    ) -> tuple[State, Tensor]:
        """One layer in one direction: the final state, and h of every step (T, B, H)."""
        weight_hh = getattr(self, f"weight_hh_{end}")
        gates = F.einsum(equation, x, getattr(self, f"weight_ih_{end}"))
        bias_hh = None
        if self.bias:
            bias, bias_hh = getattr(self, f"bias_ih_{end}"), getattr(self, f"bias_hh_{end}")
            gates = gates + (bias + bias_hh if self._bias_joins else bias)

        def step(before: State, now: Any) -> tuple[State, Tensor]:
            gates, is_real = now
            after = self._step(gates, before, weight_hh, bias_hh)
            if is_real is None:
                return after, after[0]
            held = tuple(F.where(is_real, a, b) for a, b in zip(after, before, strict=True))
            return held, F.where(is_real, after[0], 0.0)

        first = tuple(s.astype(gates.dtype) for s in first)
        if x.shape[1 if equation.startswith("bt") else 0] == 1:  # one step needs no loop
            last, y = step(first, (gates[0], None if real is None else real[0]))
            return last, y.unsqueeze(0)
        return scan(step, first, (gates, real), reverse=end.endswith("_reverse"))

    # ---- what must fit

    def _check_input(self, x: Tensor, is_single: bool) -> None:
        if x.ndim != 3 or x.shape[2] != self.input_size:
            given = x.shape[1:] if is_single else x.shape
            columns = x.shape[-1] if x.ndim else 1
            raise ShapeError(
                f"{self._title} got shape {tuple(given)}: it needs (batch, time, {self.input_size}), or (time, "
                f"{self.input_size}) for one sequence. For {columns} features use "
                f"{type(self).__name__}({columns}, {self.hidden_size})."
            )
        if x.shape[1] == 0:
            raise ShapeError(
                f"{self._title} got shape {tuple(x.shape)}: the sequences have no step. Give 1 or more."
            )

    def _first_state(self, state: Any, b: int, dtype: Any, is_single: bool) -> list[State]:
        """The state of every layer and direction, in their order."""
        rows = self.num_layers * self.n_directions
        if state is None:
            zero = F.zeros((b, self.hidden_size), dtype if dtype.kind == "f" else dtypes.float32)
            return [(zero,) * self._n_states] * rows
        given = _states(self._title, state, self._n_states)
        full = (rows, b, self.hidden_size)
        needed = (rows, self.hidden_size) if is_single else full
        for name, part in zip("hc", given, strict=False):
            if part.shape != needed:
                raise ShapeError(
                    f"{self._title}: the first state {name} has shape {tuple(part.shape)}, it must be {needed}: "
                    f"(layers * directions, {'' if is_single else 'batch, '}hidden_size). Leave it out to begin "
                    "with zeros."
                )
        parts = [p.reshape(full) for p in given]
        return [tuple(p[i] for p in parts) for i in range(rows)]

    def _real_steps(self, lengths: Any, mask: Any, b: int, t: int) -> Tensor | None:
        """(T, B, 1) bool, True at real steps; None when all are."""
        if lengths is not None and mask is not None:
            raise OptionError(
                f"{self._title} got lengths and mask: they say the same. Give one of them."
            )
        if lengths is not None:
            lengths = as_tensor(lengths)
            if lengths.shape != (b,) or lengths.dtype.kind != "i":
                raise ShapeError(
                    f"{self._title}: lengths is {lengths.dtype} of shape {tuple(lengths.shape)}; it must be one "
                    f"whole number for each of the {b} sequences, shape ({b},)."
                )
            values = known_values(lengths)
            if values is not None and ((values < 0) | (values > t)).any():
                i = int(np.flatnonzero((values < 0) | (values > t))[0])
                raise IndexRangeError(
                    f"{self._title}: sequence {i} has the length {int(values[i])}; it must be from 0 to {t}, the "
                    "steps of x."
                )
            steps = F.arange(t, dtype=lengths.dtype).reshape(t, 1, 1)
            return steps < lengths.reshape(1, b, 1)
        if mask is None:
            return None
        mask = as_tensor(mask)
        if mask.shape != (b, t):
            raise ShapeError(
                f"{self._title}: mask has shape {tuple(mask.shape)}; it must be (batch, time) = ({b}, {t}), True at "
                "real steps."
            )
        if mask.dtype.kind != "b":
            raise DTypeError(f"{self._title}: mask is {mask.dtype}; use astype(bool).")
        return mask.permute(1, 0).reshape(t, b, 1)

    # ---- for people and files

    @property
    def _title(self) -> str:
        return f"{type(self).__name__}({self.input_size} -> {self.hidden_size})"

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bias": self.bias,
            "dropout": self.dropout,
            "bidirectional": self.bidirectional,
        }

    def extra_repr(self) -> str:
        more = [f"{self.num_layers} layers"] * (self.num_layers > 1)
        more += ["bidirectional"] * self.bidirectional + ["no bias"] * (not self.bias)
        more += [f"dropout {self.dropout:g}"] * (self.dropout > 0)
        return ", ".join([f"{self.input_size} -> {self.hidden_size}", *more])


def check_batch_first(kind: str, batch_first: bool) -> None:
    """Sequences are (B, T, F) everywhere; the argument is there for code that comes from PyTorch."""
    if batch_first is not True:
        raise OptionError(
            f"{kind}: batch_first={batch_first!r} is not possible: sequences are (batch, time, features) "
            "everywhere. Permute x with x.permute(1, 0, 2)."
        )


def _states(title: str, state: Any, n: int) -> list[Tensor]:
    parts = list(state) if isinstance(state, (tuple, list)) else [state]
    if len(parts) != n:
        needed = "a pair (h, c)" if n == 2 else "one tensor h"
        raise ShapeError(
            f"{title}: the first state must be {needed}; got {len(parts)} tensor{'s' * (len(parts) != 1)}."
        )
    return [as_tensor(p) for p in parts]


class RNN(Recurrent):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh): the plain recurrent network. Elman (1990).

    nonlinearity  'tanh' or 'relu'
    dropout       between layers, in training
    Gradients over long times vanish or explode (Bengio et al. 1994): LSTM and GRU are the answer.
    Input, state and output: see Recurrent."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        batch_first: bool = True,
        dtype: Any = dtypes.float32,
    ):
        self.nonlinearity = initial.nearest(nonlinearity, ("tanh", "relu"), "nonlinearity of RNN")
        super().__init__(
            input_size, hidden_size, num_layers, bias, dropout, bidirectional, batch_first, dtype
        )

    def _step(self, gates: Tensor, state: State, weight_hh: Tensor, bias: Tensor | None) -> State:
        return _rnn_step(self.nonlinearity)(gates, state, weight_hh, bias)

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return super().config() | {"nonlinearity": self.nonlinearity}


class LSTM(Recurrent):
    """Long short-term memory: a cell state c that gates write, keep and read.

    i, f, g, o = W_ih x + b_ih + W_hh h + b_hh; c' = sigmoid(f) c + sigmoid(i) tanh(g); h' = sigmoid(o) tanh(c')
    dropout  between layers, in training
    The state is a pair (h, c). Hochreiter and Schmidhuber (1997); input, state and output: see Recurrent."""

    _n_gates = 4
    _n_states = 2

    def _step(self, gates: Tensor, state: State, weight_hh: Tensor, bias: Tensor | None) -> State:
        return _lstm_step(gates, state, weight_hh, bias)


class GRU(Recurrent):
    """Gated recurrent unit: one state, an update gate z and a reset gate r.

    h' = (1 - z) n + z h, n = tanh(W_in x + b_in + r (W_hn h + b_hn)): r multiplies b_hn too, as in PyTorch
    dropout  between layers, in training
    Cho et al. (2014); input, state and output: see Recurrent."""

    _n_gates = 3
    _bias_joins = False

    def _step(self, gates: Tensor, state: State, weight_hh: Tensor, bias: Tensor | None) -> State:
        return _gru_step(gates, state, weight_hh, bias)


# ---- one step


class Cell(Module):
    """Base of RNNCell, LSTMCell and GRUCell: one step of one layer; not used alone.

    x        (B, F), or (F,) without a batch
    state    (B, H), for LSTMCell a pair (h, c); zeros when left out
    returns  the next state in the same form
    weight_ih (F, gates * H), weight_hh (H, gates * H), bias_ih, bias_hh (gates * H,)"""

    _n_gates = 1
    _n_states = 1
    layouts: Mapping = {"weight_ih": (1, 0), "weight_hh": (1, 0)}

    def __init__(self, input_size: int, hidden_size: int, bias: bool, dtype: Any):
        kind = type(self).__name__
        self.input_size = _size(kind, "input_size", input_size)
        self.hidden_size = h = _size(kind, "hidden_size", hidden_size)
        n = self._n_gates * h
        self.bias = bool(bias)
        self.weight_ih = Tensor.parameter(initial.torch_recurrent((self.input_size, n), h, dtype))
        self.weight_hh = Tensor.parameter(initial.torch_recurrent((h, n), h, dtype))
        self.bias_ih = self.bias_hh = None
        if self.bias:
            self.bias_ih = Tensor.parameter(initial.torch_recurrent((n,), h, dtype))
            self.bias_hh = Tensor.parameter(initial.torch_recurrent((n,), h, dtype))

    def _step(self, gates: Tensor, state: State, weight_hh: Tensor, bias: Tensor | None) -> State:
        raise NotImplementedError(f"{type(self).__name__} must define one step")

    def forward(self, x: Tensor, state: Any = None):
        x = as_tensor(x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            columns = x.shape[-1] if x.ndim else 1
            raise ShapeError(
                f"{self._title} got shape {tuple(x.shape)}: it needs (batch, {self.input_size}). For {columns} "
                f"features use {type(self).__name__}({columns}, {self.hidden_size})."
            )
        is_single = x.ndim == 1
        if is_single:
            x = x.unsqueeze(0)
        gates = x @ self.weight_ih
        if self.bias_ih is not None:
            gates = gates + self.bias_ih
        full = (x.shape[0], self.hidden_size)
        if state is None:
            before: State = (F.zeros(full, gates.dtype),) * self._n_states
        else:
            given = _states(self._title, state, self._n_states)
            needed = full[1:] if is_single else full
            for name, part in zip("hc", given, strict=False):
                if part.shape != needed:
                    raise ShapeError(
                        f"{self._title}: the state {name} has shape {tuple(part.shape)}, it must be {needed}. "
                        "Leave it out to begin with zeros."
                    )
            before = tuple(p.reshape(full) for p in given)
        after = self._step(gates, before, self.weight_hh, self.bias_hh)
        if is_single:
            after = tuple(s[0] for s in after)
        return after if self._n_states > 1 else after[0]

    @property
    def _title(self) -> str:
        return f"{type(self).__name__}({self.input_size} -> {self.hidden_size})"

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "bias": self.bias,
        }

    def extra_repr(self) -> str:
        return f"{self.input_size} -> {self.hidden_size}" + ("" if self.bias else ", no bias")


class RNNCell(Cell):
    """One step of RNN. Input, state and weights: see Cell.

    nonlinearity  'tanh' or 'relu'"""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        dtype: Any = dtypes.float32,
    ):
        self.nonlinearity = initial.nearest(
            nonlinearity, ("tanh", "relu"), "nonlinearity of RNNCell"
        )
        super().__init__(input_size, hidden_size, bias, dtype)

    def _step(self, gates: Tensor, state: State, weight_hh: Tensor, bias: Tensor | None) -> State:
        if bias is not None:
            gates = gates + bias
        return _rnn_step(self.nonlinearity)(gates, state, weight_hh, None)

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return super().config() | {"nonlinearity": self.nonlinearity}


class LSTMCell(Cell):
    """One step of LSTM; the state is a pair (h, c). Input, state and weights: see Cell."""

    _n_gates = 4
    _n_states = 2

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = dtypes.float32
    ):
        super().__init__(input_size, hidden_size, bias, dtype)

    def _step(self, gates: Tensor, state: State, weight_hh: Tensor, bias: Tensor | None) -> State:
        if bias is not None:
            gates = gates + bias
        return _lstm_step(gates, state, weight_hh, None)


class GRUCell(Cell):
    """One step of GRU. Input, state and weights: see Cell."""

    _n_gates = 3

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = dtypes.float32
    ):
        super().__init__(input_size, hidden_size, bias, dtype)

    def _step(self, gates: Tensor, state: State, weight_hh: Tensor, bias: Tensor | None) -> State:
        return _gru_step(gates, state, weight_hh, bias)
