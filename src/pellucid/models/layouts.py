"""How the files of others name and lay out what our models hold: tables, one Layout for each form.

  GPT      Hugging Face's gpt2          ViT      Hugging Face's vit
  BERT     Hugging Face's bert          ResNet   Hugging Face's resnet, and torchvision's

A row says (our name, their name). `{i}` is a number that both have, `*` at the end is the rest of the name.
Several names on their side are parts of one array of ours, side by side. Arrays are compared and converted
in pretrained.py; here nothing is read but names, shapes and the fields of a config.json."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..base.errors import FormatError

Shapes = Mapping[str, tuple[int, ...]]
Config = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """ours, theirs   templates of names
    as_is  their array has our axes; else it has PyTorch's"""

    ours: str
    theirs: str | tuple[str, ...]
    as_is: bool = False


@dataclass(frozen=True)
class Layout:
    """One form of file.

    model       the class of pellucid.models
    title       what people call this form
    mark        a name that every such file has
    rows        tried in order
    aliases     (pattern, replacement): other names for the same, in older files
    not_weights  patterns of entries that can be computed: they are left out
    copies      their name -> the name that it repeats where weights are tied
    leading     names whose array has a leading axis of size 1 more than ours
    infer       shapes by their names -> arguments of the class; KeyError where they do not tell
    read        their config.json -> arguments of the class; FormatError for what our class cannot do
    write       arguments of the class -> their config.json; None where the form has none"""

    model: str
    title: str
    mark: str
    rows: tuple[Row, ...]
    infer: Callable[[Shapes], Config]
    read: Callable[[Mapping[str, Any]], Config] | None = None
    write: Callable[[Config], Config] | None = None
    model_type: str = ""
    aliases: tuple[tuple[str, str], ...] = ()
    not_weights: tuple[str, ...] = ()
    copies: Mapping[str, str] | None = None
    leading: tuple[str, ...] = ()

    def theirs(self, name: str) -> tuple[tuple[str, ...], bool]:
        """(their name or names of our entry, whether their axes are ours)."""
        for row in self.rows:
            found = _pattern(row.ours).fullmatch(name)
            if found:
                names = (row.theirs,) if isinstance(row.theirs, str) else row.theirs
                return tuple(_filled(n, found.groupdict()) for n in names), row.as_is
        raise AssertionError(f"{self.model}: no row of the layout {self.title!r} names {name!r}")

    def ours(self, name: str) -> str | None:
        """Our name of their entry, or of the array that it is a part of."""
        for row in self.rows:
            for theirs in (row.theirs,) if isinstance(row.theirs, str) else row.theirs:
                found = _pattern(theirs).fullmatch(name)
                if found:
                    return _filled(row.ours, found.groupdict())
        return None

    def canonical(self, name: str) -> str | None:
        """The name as this form has it today; None for an entry that is no weight."""
        for pattern, replacement in self.aliases:
            name = re.sub(pattern, replacement, name)
        return None if any(re.fullmatch(p, name) for p in self.not_weights) else name


def _pattern(template: str) -> re.Pattern:
    text = re.escape(template).replace(r"\{i\}", r"(?P<i>\d+)").replace(r"\*", r"(?P<rest>.+)")
    return re.compile(text)


def _filled(template: str, found: Mapping[str, str]) -> str:
    return template.replace("{i}", found.get("i", "")).replace("*", found.get("rest", ""))


def _count(names: Iterable[str], template: str) -> int:
    """How many numbers i the names have at the template's place."""
    pattern = _pattern(template)
    return len({found["i"] for name in names if (found := pattern.fullmatch(name))})


def _heads(width: int) -> int:
    """No weight tells the number of heads: all published models of these families have 64 features a head."""
    return max(1, width // 64) if width % 64 == 0 or width < 64 else 1


def _refuse(given: Mapping[str, Any], possible: Mapping[str, tuple], title: str) -> None:
    wrong = [f"{k} = {given[k]!r}" for k, v in possible.items() if k in given and given[k] not in v]
    if wrong:
        needed = ", ".join(f"{k} = {v[0]!r}" for k, v in possible.items())
        raise FormatError(
            f"config.json of {title}: {', '.join(wrong)}: our model computes something else; it needs {needed}."
        )


# ---- GPT-2


def _gpt_infer(shapes: Shapes) -> Config:
    vocab_size, width = shapes["transformer.wte.weight"]
    return {
        "vocab_size": vocab_size,
        "n_positions": shapes["transformer.wpe.weight"][0],
        "n_embd": width,
        "n_layer": _count(shapes, "transformer.h.{i}.*"),
        "n_head": _heads(width),
        "n_inner": shapes["transformer.h.0.mlp.c_fc.weight"][1],
        "bias": "transformer.ln_f.bias" in shapes,
        "tied": "lm_head.weight" not in shapes,
    }


def _gpt_read(config: Mapping[str, Any]) -> Config:
    possible = {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    }
    _refuse(config, possible, "GPT-2")
    names = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner")
    found = {name: config[name] for name in names if config.get(name) is not None}
    return found | {
        "dropout": config.get("resid_pdrop", 0.1),
        "eps": config.get("layer_norm_epsilon", 1e-5),
        "tied": config.get("tie_word_embeddings", True),
    }


def _gpt_write(c: Config) -> Config:
    if not c["bias"]:
        raise FormatError(
            "GPT: Hugging Face's GPT-2 always has biases, this model has none (bias=False). Save it with models.save."
        )
    names = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner")
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        **{name: c[name] for name in names},
        **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), c["dropout"]),
        "layer_norm_epsilon": c["eps"],
        "tie_word_embeddings": c["tied"],
        "bos_token_id": None,
        "eos_token_id": None,
    }


GPT2 = Layout(
    "GPT",
    "Hugging Face's GPT-2",
    "transformer.wte.weight",
    (
        # Linear layers are stored (in, out) there as here; the output layer is not.
        Row("wte.weight", "transformer.wte.weight"),
        Row("wpe.weight", "transformer.wpe.weight"),
        Row("h.{i}.*", "transformer.h.{i}.*", as_is=True),
        Row("ln_f.*", "transformer.ln_f.*"),
        Row("lm_head.weight", "lm_head.weight"),
    ),
    _gpt_infer,
    _gpt_read,
    _gpt_write,
    "gpt2",
    aliases=((r"^(wte|wpe|ln_f|h)\.", r"transformer.\1."),),
    not_weights=(r"transformer\.h\.\d+\.attn\.(bias|masked_bias)",),  # the causal mask
    copies={"lm_head.weight": "transformer.wte.weight"},
)

# ---- BERT


def _bert_infer(shapes: Shapes) -> Config:
    vocab_size, width = shapes["bert.embeddings.word_embeddings.weight"]
    return {
        "vocab_size": vocab_size,
        "hidden_size": width,
        "num_hidden_layers": _count(shapes, "bert.encoder.layer.{i}.*"),
        "num_attention_heads": _heads(width),
        "intermediate_size": shapes["bert.encoder.layer.0.intermediate.dense.weight"][0],
        "max_position_embeddings": shapes["bert.embeddings.position_embeddings.weight"][0],
        "type_vocab_size": shapes["bert.embeddings.token_type_embeddings.weight"][0],
        "pooler": "bert.pooler.dense.weight" in shapes,
        "next_sentence": "cls.seq_relationship.weight" in shapes,
    }


def _bert_read(config: Mapping[str, Any]) -> Config:
    possible = {
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute",),
        "is_decoder": (False,),
    }
    _refuse(config, possible, "BERT")
    names = (
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "max_position_embeddings", "type_vocab_size", "pad_token_id",
    )  # fmt: skip
    found = {name: config[name] for name in names if name in config}
    return found | {
        "dropout": config.get("hidden_dropout_prob", 0.1),
        "eps": config.get("layer_norm_eps", 1e-12),
    }


def _bert_write(c: Config) -> Config:
    names = (
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "max_position_embeddings", "type_vocab_size", "pad_token_id",
    )  # fmt: skip
    return {
        "architectures": ["BertForPreTraining" if c["next_sentence"] else "BertForMaskedLM"],
        "model_type": "bert",
        "hidden_act": "gelu",
        **{name: c[name] for name in names},
        "hidden_dropout_prob": c["dropout"],
        "attention_probs_dropout_prob": c["dropout"],
        "layer_norm_eps": c["eps"],
        "tie_word_embeddings": True,
    }


def _encoder_rows(ours: str, theirs: str, query: str, rows: Mapping[str, str]) -> tuple[Row, ...]:
    """Rows of nn.TransformerEncoderLayer: one array for queries, keys and values here, three there."""
    three = [query.format(name) for name in ("query", "key", "value")]
    return (
        *(
            Row(f"{ours}.self_attn.in_proj_{kind}", tuple(f"{theirs}.{n}.{kind}" for n in three))
            for kind in ("weight", "bias")
        ),
        *(Row(f"{ours}.{a}.*", f"{theirs}.{b}.*") for a, b in rows.items()),
    )


BERT = Layout(
    "BERT",
    "Hugging Face's BERT",
    "bert.embeddings.word_embeddings.weight",
    (
        Row("words.weight", "bert.embeddings.word_embeddings.weight"),
        Row("positions.weight", "bert.embeddings.position_embeddings.weight"),
        Row("types.weight", "bert.embeddings.token_type_embeddings.weight"),
        Row("norm.*", "bert.embeddings.LayerNorm.*"),
        *_encoder_rows(
            "layers.{i}",
            "bert.encoder.layer.{i}",
            "attention.self.{}",
            {
                "self_attn.out_proj": "attention.output.dense",
                "norm1": "attention.output.LayerNorm",
                "linear1": "intermediate.dense",
                "linear2": "output.dense",
                "norm2": "output.LayerNorm",
            },
        ),
        Row("pool.*", "bert.pooler.dense.*"),
        Row("follows.*", "cls.seq_relationship.*"),
        Row("head.dense.*", "cls.predictions.transform.dense.*"),
        Row("head.norm.*", "cls.predictions.transform.LayerNorm.*"),
        Row("head.bias", "cls.predictions.bias"),
    ),
    _bert_infer,
    _bert_read,
    _bert_write,
    "bert",
    aliases=((r"\.gamma$", ".weight"), (r"\.beta$", ".bias")),
    not_weights=(r"bert\.embeddings\.(position_ids|token_type_ids)",),
    copies={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
)

# ---- ViT


def _vit_infer(shapes: Shapes) -> Config:
    width, channels, patch, _ = shapes["vit.embeddings.patch_embeddings.projection.weight"]
    n_patches = shapes["vit.embeddings.position_embeddings"][1] - 1
    side = round(n_patches**0.5)
    return {
        "image_size": side * patch,
        "patch_size": patch,
        "num_channels": channels,
        "hidden_size": width,
        "num_hidden_layers": _count(shapes, "vit.encoder.layer.{i}.*"),
        "num_attention_heads": _heads(width),
        "intermediate_size": shapes["vit.encoder.layer.0.intermediate.dense.weight"][0],
        "num_labels": shapes["classifier.weight"][0],
    }


def _vit_read(config: Mapping[str, Any]) -> Config:
    _refuse(config, {"hidden_act": ("gelu",), "qkv_bias": (True,)}, "ViT")
    names = (
        "image_size", "patch_size", "num_channels", "hidden_size", "num_hidden_layers", "num_attention_heads",
        "intermediate_size",
    )  # fmt: skip
    found = {name: config[name] for name in names if name in config}
    return found | {
        "num_labels": _labels(config),
        "dropout": config.get("hidden_dropout_prob", 0.0),
        "eps": config.get("layer_norm_eps", 1e-12),
    }


def _vit_write(c: Config) -> Config:
    names = (
        "image_size", "patch_size", "num_channels", "hidden_size", "num_hidden_layers", "num_attention_heads",
        "intermediate_size",
    )  # fmt: skip
    return {
        "architectures": ["ViTForImageClassification"],
        "model_type": "vit",
        "hidden_act": "gelu",
        **{name: c[name] for name in names},
        **_named_labels(c["num_labels"]),
        "hidden_dropout_prob": c["dropout"],
        "attention_probs_dropout_prob": c["dropout"],
        "layer_norm_eps": c["eps"],
        "qkv_bias": True,
    }


def _labels(config: Mapping[str, Any]) -> int:
    names = config.get("id2label")
    return len(names) if isinstance(names, dict) else config.get("num_labels", 2)


def _named_labels(n: int) -> Config:
    return {
        "id2label": {str(i): f"LABEL_{i}" for i in range(n)},
        "label2id": {f"LABEL_{i}": i for i in range(n)},
    }


VIT = Layout(
    "ViT",
    "Hugging Face's ViT",
    "vit.embeddings.cls_token",
    (
        Row("cls_token", "vit.embeddings.cls_token"),
        Row("positions.weight", "vit.embeddings.position_embeddings"),
        Row("patches.*", "vit.embeddings.patch_embeddings.projection.*"),
        *_encoder_rows(
            "layers.{i}",
            "vit.encoder.layer.{i}",
            "attention.attention.{}",
            {
                "self_attn.out_proj": "attention.output.dense",
                "norm1": "layernorm_before",
                "norm2": "layernorm_after",
                "linear1": "intermediate.dense",
                "linear2": "output.dense",
            },
        ),
        Row("norm.*", "vit.layernorm.*"),
        Row("head.*", "classifier.*"),
    ),
    _vit_infer,
    _vit_read,
    _vit_write,
    "vit",
    leading=("vit.embeddings.position_embeddings",),
)

# ---- ResNet


def _resnet_infer(shapes: Shapes) -> Config:
    stem_width, in_channels, kernel, _ = shapes["conv1.weight"]
    n_stages = max(i for i in range(1, 100) if f"layer{i}.0.conv1.weight" in shapes)
    is_bottleneck = "layer1.0.conv3.weight" in shapes
    last = "conv3" if is_bottleneck else "conv2"
    return {
        "block": "bottleneck" if is_bottleneck else "basic",
        "depths": [_count(shapes, f"layer{s}.{{i}}.*") for s in range(1, n_stages + 1)],
        "widths": [shapes[f"layer{s}.0.{last}.weight"][0] for s in range(1, n_stages + 1)],
        "in_channels": in_channels,
        "num_classes": shapes["fc.weight"][0],
        "stem": "large" if kernel == 7 else "small",
        "stem_width": stem_width,
    }


def _resnet_read(config: Mapping[str, Any]) -> Config:
    possible = {
        "hidden_act": ("relu",),
        "downsample_in_first_stage": (False,),
        "downsample_in_bottleneck": (False,),
    }
    _refuse(config, possible, "ResNet")
    return {
        "block": config.get("layer_type", "bottleneck"),
        "depths": config.get("depths", [3, 4, 6, 3]),
        "widths": config.get("hidden_sizes", [256, 512, 1024, 2048]),
        "in_channels": config.get("num_channels", 3),
        "num_classes": _labels(config),
        "stem": "large",
        "stem_width": config.get("embedding_size", 64),
    }


def _resnet_write(c: Config) -> Config:
    if c["stem"] != "large":
        raise FormatError(
            "ResNet: Hugging Face's form has a 7x7 stem only, this model a 3x3 one (stem='small'). Save it with "
            "form='torchvision', or with models.save."
        )
    return {
        "architectures": ["ResNetForImageClassification"],
        "model_type": "resnet",
        "hidden_act": "relu",
        "layer_type": c["block"],
        "depths": list(c["depths"]),
        "hidden_sizes": list(c["widths"]),
        "num_channels": c["in_channels"],
        "embedding_size": c["stem_width"],
        **_named_labels(c["num_classes"]),
        "downsample_in_first_stage": False,
        "downsample_in_bottleneck": False,
    }


def _hf_resnet_infer(shapes: Shapes) -> Config:
    return _resnet_infer({RESNET.ours(name) or name: s for name, s in shapes.items()})


_STAGES = range(1, 10)
RESNET: Layout = Layout(
    "ResNet",
    "Hugging Face's ResNet",
    "resnet.embedder.embedder.convolution.weight",
    (
        Row("conv1.*", "resnet.embedder.embedder.convolution.*"),
        Row("bn1.*", "resnet.embedder.embedder.normalization.*"),
        *(
            Row(
                f"layer{s}.{{i}}.{ours}.*", f"resnet.encoder.stages.{s - 1}.layers.{{i}}.{theirs}.*"
            )
            for s in _STAGES
            for ours, theirs in (
                *((f"conv{c}", f"layer.{c - 1}.convolution") for c in (1, 2, 3)),
                *((f"bn{c}", f"layer.{c - 1}.normalization") for c in (1, 2, 3)),
                ("downsample.0", "shortcut.convolution"),
                ("downsample.1", "shortcut.normalization"),
            )
        ),
        Row("fc.*", "classifier.1.*"),
    ),
    _hf_resnet_infer,
    _resnet_read,
    _resnet_write,
    "resnet",
)
TORCHVISION = Layout(
    "ResNet",
    "torchvision's ResNet",
    "layer1.0.conv1.weight",
    (Row("*", "*"),),
    _resnet_infer,
)

# form -> how it is laid out; the first of a model is what save_file writes
LAYOUTS: dict[str, Layout] = {
    "gpt2": GPT2,
    "bert": BERT,
    "vit": VIT,
    "resnet": RESNET,
    "torchvision": TORCHVISION,
}


def forms_of(model: str) -> dict[str, Layout]:
    """The forms that a class of pellucid.models can be stored in."""
    return {form: layout for form, layout in LAYOUTS.items() if layout.model == model}


def recognise(names: Iterable[str]) -> Layout | None:
    """The form that a file with these names has."""
    names = list(names)
    for layout in LAYOUTS.values():
        if any(layout.canonical(name) == layout.mark for name in names):
            return layout
    return None
