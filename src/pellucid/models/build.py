"""Models to records and back, and to folders: the table of nn/build.py with a row for each model.

A folder holds model.json (what the network is) and model.safetensors (its weights): no code."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..base.errors import FormatError
from ..formats import model_json, safetensors
from ..nn.build import KINDS as LAYERS
from ..nn.build import (
    Check,
    Kind,
    is_activation,
    is_chance,
    is_count,
    is_flag,
    is_number,
    is_size,
    is_token,
    one_of,
    optional,
)
from ..nn.build import build as build_of
from ..nn.build import describe as describe_with
from .autoencoder import Autoencoder
from .bert import BERT
from .char_rnn import CELLS, CharRNN
from .committee import Committee
from .dcgan import DCGAN
from .forecaster import Forecaster
from .gpt import GPT
from .lenet import LeNet
from .mlp import MLP
from .resnet import BLOCKS, ResNet
from .seq2seq import Seq2Seq
from .unet import UNet
from .vae import VAE
from .vit import ViT
from .wgan_gp import WGAN_GP

MODEL, WEIGHTS = "model.json", "model.safetensors"


def is_list(v: Any) -> bool:
    """A list of sizes, at most 64; may be empty."""
    return isinstance(v, list) and len(v) <= 64 and all(map(is_size, v))


def _is_pixels(v: Any) -> bool:
    """A side of an image; a model has tables of the square of it."""
    return is_size(v) and v <= 2**14


def _sizes(*names: str) -> dict[str, Check]:
    return dict.fromkeys(names, is_size)


_GAN: dict[str, Check] = {"image_size": _is_pixels, **_sizes("channels", "latent", "width")}
_CODER: dict[str, Check] = {
    "shape": is_list, "hidden": is_list, "code": is_size, "activation": is_activation,
}  # fmt: skip
_is_recurrent = one_of(*CELLS)

# model -> (class, {argument: is this value possible?})
MODELS: dict[str, Kind] = {
    "MLP": (
        MLP,
        {
            "sizes": is_list, "activation": is_activation, "dropout": is_chance,
            "init": one_of(*nn.init.SCHEMES),
        },
    ),
    "Committee": (
        Committee,
        {
            "sizes": is_list, "n_members": is_count, "activation": is_activation, "dropout": is_chance,
            "answers": one_of("chances", "amounts"), "init": one_of(*nn.init.SCHEMES),
        },
    ),
    "LeNet": (
        LeNet,
        {
            **_sizes("in_channels", "num_classes"), "image_size": _is_pixels, "activation": is_activation,
            "pool": one_of("avg", "max"),
        },
    ),
    "ResNet": (
        ResNet,
        {
            "block": one_of(*BLOCKS), "depths": is_list, "widths": is_list,
            **_sizes("in_channels", "num_classes", "stem_width"), "stem": one_of("large", "small"),
        },
    ),
    "UNet": (UNet, {**_sizes("in_channels", "out_channels"), "widths": is_list}),
    "CharRNN": (
        CharRNN,
        {
            **_sizes("vocab_size", "embed_dim", "hidden_size"), "num_layers": is_count,
            "cell": _is_recurrent, "dropout": is_chance,
        },
    ),
    "Forecaster": (
        Forecaster,
        {
            **_sizes("n_features", "hidden_size", "n_outputs"), "num_layers": is_count,
            "cell": _is_recurrent, "dropout": is_chance, "is_residual": is_flag, "window": is_token,
        },
    ),
    "Seq2Seq": (
        Seq2Seq,
        {
            **_sizes("source_vocab", "target_vocab", "d_model", "dim_feedforward"), "nhead": is_count,
            "num_encoder_layers": is_count, "num_decoder_layers": is_count, "dropout": is_chance,
            "max_len": lambda v: is_size(v) and v <= 2**20,
            "padding": optional(is_token), "norm_first": is_flag,
        },
    ),
    "GPT": (
        GPT,
        {
            **_sizes("vocab_size", "n_positions", "n_embd", "n_inner"), "n_layer": is_count,
            "n_head": is_count, "dropout": is_chance, "bias": is_flag, "tied": is_flag, "eps": is_number,
        },
    ),
    "BERT": (
        BERT,
        {
            **_sizes(
                "vocab_size", "hidden_size", "intermediate_size", "max_position_embeddings",
                "type_vocab_size",
            ),
            "num_hidden_layers": is_count, "num_attention_heads": is_count, "dropout": is_chance,
            "eps": is_number, "pad_token_id": optional(is_token), "pooler": is_flag,
            "next_sentence": is_flag,
        },
    ),
    "ViT": (
        ViT,
        {
            "image_size": _is_pixels,
            **_sizes("patch_size", "num_channels", "hidden_size", "intermediate_size", "num_labels"),
            "num_hidden_layers": is_count, "num_attention_heads": is_count, "dropout": is_chance,
            "eps": is_number,
        },
    ),
    "DCGAN": (DCGAN, _GAN),
    "WGAN_GP": (WGAN_GP, {**_GAN, "penalty": is_number}),
    "Autoencoder": (Autoencoder, _CODER),
    "VAE": (VAE, _CODER),
}  # fmt: skip

KINDS: dict[str, Kind] = {**LAYERS, **MODELS}


def describe(network: nn.Module) -> list[dict]:
    """The records of a model or of a Sequential, which may hold models: plain JSON.

    Raises FormatError for a module that has no row in KINDS."""
    return describe_with(network, KINDS)


def build(
    records: Sequence[Mapping],
    weights: Mapping[str, np.ndarray] | None = None,
    where: str = "layers",
) -> Any:
    """The network of such records; see nn.build."""
    return build_of(records, weights, where, KINDS)


def save(network: nn.Module, folder: str | Path) -> None:
    """Writes model.json and model.safetensors; the folder is made where it is not there."""
    folder = Path(folder)
    described = describe(network)
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.save(folder / WEIGHTS, network.state_dict(), {"format": "pellucid"})
    empty: dict = {"input": {}, "output": {}, "settings": {}}
    model_json.save(folder / MODEL, {"layers": described, **empty})


def load(folder: str | Path) -> Any:
    """The network that save() wrote, in evaluation mode. Raises FormatError naming file and field."""
    folder = Path(folder)
    if not (folder / MODEL).exists():
        raise FormatError(
            f"{folder}: holds no {MODEL}. A folder of Hugging Face's form is read by models.GPT.from_file and its "
            "like."
        )
    model = model_json.load(folder / MODEL)
    weights, _ = safetensors.load(folder / WEIGHTS)
    return build(model["layers"], weights, f"{folder / MODEL}: field 'layers'").eval()
