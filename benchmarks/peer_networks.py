"""The networks of the training benchmark, built of pellucid.nn, with the benchmark's initial weights.

Images are channels last here, so a dense weight beside a flattened image has its rows permuted.
B batch, T time, C channels, D channels of a head"""

import numpy as np
import workloads as W

from pellucid import functions as F
from pellucid import nn

ACTIVATION = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


class Loader:
    """Makes layers and copies the weights into them that the benchmark gives them by name."""

    def __init__(self, w):
        self.arrays = W.params(w)

    def filled(self, layer, name, axes=None):
        """The layer with weight NAME.w (in PyTorch's layout after `transpose(axes)`) and bias NAME.b."""
        weight = self.arrays[f"{name}.w"]
        state = {"weight": weight if axes is None else weight.transpose(axes)}
        if f"{name}.b" in self.arrays:
            state["bias"] = self.arrays[f"{name}.b"]
        layer.load_state_dict(state, layout="pytorch")
        return layer

    def linear(self, name):
        n_in, n_out = self.arrays[f"{name}.w"].shape
        return self.filled(nn.Linear(n_in, n_out, bias=f"{name}.b" in self.arrays), name, (1, 0))

    def conv(self, name, stride=1, padding=0):
        n_out, n_in, size, _ = self.arrays[f"{name}.w"].shape
        bias = f"{name}.b" in self.arrays
        return self.filled(nn.Conv2d(n_in, n_out, size, stride, padding, bias=bias), name)

    def conv_transpose(self, name, stride, padding):
        n_in, n_out, size, _ = self.arrays[f"{name}.w"].shape
        return self.filled(nn.ConvTranspose2d(n_in, n_out, size, stride, padding), name)

    def batch_norm(self, name, w):
        n = len(self.arrays[f"{name}.w"])
        return nn.BatchNorm2d(n, eps=w["bn_eps"], momentum=w["bn_momentum"])

    def layer_norm(self, name):
        return nn.LayerNorm(len(self.arrays[f"{name}.w"]), bias=f"{name}.b" in self.arrays)

    def embedding(self, name):
        layer = nn.Embedding(*self.arrays[name].shape)
        layer.load_state_dict({"weight": self.arrays[name]})
        return layer

    def recurrent(self, kind, bias_ih, bias_hh):
        """nn.LSTM or nn.GRU with the workload's wx and wh."""
        n_in, n_hidden = self.arrays["wx"].shape[0], self.arrays["wh"].shape[0]
        layer = kind(n_in, n_hidden)
        layer.load_state_dict(
            {
                "weight_ih_l0": self.arrays["wx"],
                "weight_hh_l0": self.arrays["wh"],
                "bias_ih_l0": bias_ih,
                "bias_hh_l0": bias_hh,
            }
        )
        return layer

    def flattened(self, name, channels, height, width, axis=0):
        """The linear layer after (axis 0) or before (axis 1) a flattened image: permuted to channels last."""
        for part in (f"{name}.w", f"{name}.b") if axis else (f"{name}.w",):
            a = self.arrays[part]
            permuted = W.chw_to_hwc(a, channels, height, width, axis=min(axis, a.ndim - 1))
            self.arrays = {**self.arrays, part: permuted}
        return self.linear(name)


def mlp(w, load):
    layers = []
    last = len(w["sizes"]) - 2
    for i in range(last + 1):
        layers.append(load.linear(f"l{i}"))
        activation = w["out_act"] if i == last else w["act"]
        if activation:
            layers.append(ACTIVATION[activation]())
    return nn.Sequential(*layers)


def cnn(w, load):
    _, height, width = w["image"]
    return nn.Sequential(
        load.conv("conv1"),
        nn.ReLU(),
        load.conv("conv2"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        load.flattened("fc1", w["channels"][1], (height - 4) // 2, (width - 4) // 2),
        nn.ReLU(),
        load.linear("fc2"),
    )


class Residual(nn.Module):
    """relu(x + two convolutions of x), x projected where its shape changes."""

    def __init__(self, w, load, block):
        name, stride = block["name"], block["stride"]
        self.conv1, self.bn1 = (
            load.conv(f"{name}.conv1", stride, 1),
            load.batch_norm(f"{name}.bn1", w),
        )
        self.conv2, self.bn2 = load.conv(f"{name}.conv2", 1, 1), load.batch_norm(f"{name}.bn2", w)
        self.shortcut = nn.Identity()
        if block["proj"]:
            self.shortcut = nn.Sequential(
                load.conv(f"{name}.proj", stride), load.batch_norm(f"{name}.bnp", w)
            )

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(y)) + self.shortcut(x)).relu()


class ResNet(nn.Module):
    """ResNet-20 for images of 32 x 32: three stages of three blocks."""

    def __init__(self, w, load):
        self.stem, self.stem_bn = load.conv("stem", 1, 1), load.batch_norm("stem_bn", w)
        self.blocks = nn.Sequential(*[Residual(w, load, block) for block in W.resnet_blocks(w)])
        self.fc = load.linear("fc")

    def forward(self, x):
        x = self.blocks(self.stem_bn(self.stem(x)).relu())
        return self.fc(x.mean((1, 2)))


class CharLSTM(nn.Module):
    """The next symbol at every place."""

    def __init__(self, w, load):
        self.emb = load.embedding("emb")
        b = load.arrays["b"]
        self.rnn = load.recurrent(nn.LSTM, b, np.zeros_like(b))
        self.rnn.bias_hh_l0.requires_grad = False  # one trained bias, as the workload says
        self.head = load.linear("head")

    def forward(self, x):
        return self.head(self.rnn(self.emb(x))[0])


class Forecaster(nn.Module):
    """One value from the last state of a GRU."""

    def __init__(self, w, load):
        self.rnn = load.recurrent(nn.GRU, load.arrays["bx"], load.arrays["bh"])
        self.head = load.linear("head")

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Attention(nn.Module):
    """Self-attention with queries, keys and values from one linear layer."""

    def __init__(self, w, load, name, causal):
        self.qkv, self.proj = load.linear(f"{name}.qkv"), load.linear(f"{name}.proj")
        self.heads, self.causal = w["heads"], causal

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (
            part.reshape((B, T, self.heads, C // self.heads)).permute((0, 2, 1, 3))
            for part in F.split(self.qkv(x), C, axis=2)
        )
        y = nn.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.proj(y.permute((0, 2, 1, 3)).reshape((B, T, C)))


class FeedForward(nn.Module):
    def __init__(self, load, name):
        self.fc, self.out = load.linear(f"{name}.fc"), load.linear(f"{name}.out")

    def forward(self, x):
        return self.out(F.gelu(self.fc(x), "tanh"))


class Block(nn.Module):
    """Attention and a feed-forward network, normed before them (GPT) or after the sum (BERT)."""

    def __init__(self, w, load, name, causal):
        self.ln1, self.attn = load.layer_norm(f"{name}.ln1"), Attention(w, load, name, causal)
        self.ln2, self.ffn = load.layer_norm(f"{name}.ln2"), FeedForward(load, name)
        self.norm_first = causal

    def forward(self, x):
        if self.norm_first:
            x = x + self.attn(self.ln1(x))
            return x + self.ffn(self.ln2(x))
        x = self.ln1(x + self.attn(x))
        return self.ln2(x + self.ffn(x))


def blocks(w, load, causal):
    return nn.Sequential(*[Block(w, load, f"h{i}", causal) for i in range(w["layers"])])


class GPT(nn.Module):
    """nanoGPT: the head's weight is the embedding's."""

    def __init__(self, w, load):
        self.wte, self.wpe = load.embedding("wte"), load.embedding("wpe")
        self.h, self.lnf = blocks(w, load, causal=True), load.layer_norm("lnf")

    def forward(self, x):
        return self.lnf(self.h(self.wte(x) + self.wpe.weight)) @ self.wte.weight.T


class Encoder(nn.Module):
    """BERT's encoder, and a linear layer over the mean of all places."""

    def __init__(self, w, load):
        self.wte, self.wpe = load.embedding("wte"), load.embedding("wpe")
        self.lne, self.h = load.layer_norm("lne"), blocks(w, load, causal=False)
        self.head = load.linear("head")

    def forward(self, x):
        return self.head(self.h(self.lne(self.wte(x) + self.wpe.weight)).mean(1))


class GAN(nn.Module):
    """DCGAN without batch norm: generator `g` from noise to images, discriminator `d` from images to a logit."""

    def __init__(self, w, load):
        _, height, width = w["image"]
        small = (w["channels"][1], height // 4, width // 4)
        self.g = nn.Sequential(
            load.flattened("g.fc", *small, axis=1),
            nn.ReLU(),
            nn.Unflatten(1, (*small[1:], small[0])),
            load.conv_transpose("g.ct1", 2, 1),
            nn.ReLU(),
            load.conv_transpose("g.ct2", 2, 1),
            nn.Tanh(),
        )
        self.d = nn.Sequential(
            load.conv("d.conv1", 2, 1),
            nn.LeakyReLU(w["leak"]),
            load.conv("d.conv2", 2, 1),
            nn.LeakyReLU(w["leak"]),
            nn.Flatten(),
            load.flattened("d.fc", *small),
        )


FAMILIES = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet": ResNet,
    "lstm": CharLSTM,
    "gru": Forecaster,
    "gpt": GPT,
    "encoder": Encoder,
    "gan": GAN,
}


def network(w):
    """The workload's network with its initial weights."""
    return FAMILIES[w["family"]](w, Loader(w))
