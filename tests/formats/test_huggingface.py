"""Weights of others: the same outputs as Hugging Face's models, the same bits back, one error for all that is wrong.

Models have random weights and are small; nothing is fetched."""

import json
import pickle

import numpy as np
import pytest

from pellucid import models
from pellucid.base.errors import FormatError, OptionError
from pellucid.formats import safetensors
from pellucid.models.layouts import LAYOUTS
from pellucid.tensor import random
from pellucid.tensor.tensor import Tensor

V = 61


def build_theirs(name):
    """A model of transformers with random weights, and statistics that are not those of a new batch norm."""
    import torch
    import transformers as hf

    common = {
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 40,
    }
    text = {"vocab_size": V, "max_position_embeddings": 17, **common}
    images = {"num_labels": 5}
    torch.manual_seed(0)
    make = {
        "gpt2": lambda: hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=V, n_positions=17, n_embd=24, n_layer=2, n_head=3, n_inner=40, bos_token_id=0,
                eos_token_id=0,
            )
        ),
        "gpt2-untied": lambda: hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=V, n_positions=17, n_embd=12, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0,
                tie_word_embeddings=False,
            )
        ),
        "bert": lambda: hf.BertForMaskedLM(hf.BertConfig(**text)),
        "bert-pretraining": lambda: hf.BertForPreTraining(hf.BertConfig(**text, type_vocab_size=3)),
        "vit": lambda: hf.ViTForImageClassification(hf.ViTConfig(image_size=16, patch_size=4, **common, **images)),
        "vit-grey": lambda: hf.ViTForImageClassification(
            hf.ViTConfig(image_size=15, patch_size=5, num_channels=1, **common)
        ),
        "resnet-bottleneck": lambda: hf.ResNetForImageClassification(
            hf.ResNetConfig(embedding_size=8, hidden_sizes=[16, 24, 32], depths=[2, 1, 2], **images)
        ),
        "resnet-basic": lambda: hf.ResNetForImageClassification(
            hf.ResNetConfig(
                embedding_size=8, hidden_sizes=[8, 16], depths=[2, 2], layer_type="basic", num_channels=1,
            )
        ),
    }[name]  # fmt: skip
    model = make().eval()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith("running_mean"):
                tensor.copy_(torch.randn_like(tensor) * 0.1)
            elif key.endswith("running_var"):
                tensor.copy_(torch.rand_like(tensor) + 0.5)
            elif key.endswith("num_batches_tracked"):
                tensor.fill_(7)
            elif tensor.ndim == 1:
                tensor.add_(torch.randn_like(tensor) * 0.1)  # biases and norms begin at 0 and 1
    return model


CLASSES = {
    "gpt2": models.GPT,
    "gpt2-untied": models.GPT,
    "bert": models.BERT,
    "bert-pretraining": models.BERT,
    "vit": models.ViT,
    "vit-grey": models.ViT,
    "resnet-bottleneck": models.ResNet,
    "resnet-basic": models.ResNet,
}


@pytest.fixture(scope="module", params=CLASSES)
def case(request, tmp_path_factory):
    """(name, their model, the folder that it was saved in)."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp(request.param)
    theirs = build_theirs(request.param)
    theirs.save_pretrained(folder)
    return request.param, theirs, folder


def inputs_of(name):
    """Our input, and theirs: channels come first there."""
    import torch

    rng = np.random.default_rng(1)
    if name.startswith(("gpt2", "bert")):
        x = rng.integers(0, V, (3, 11))
        return x, torch.tensor(x)
    side = {"vit": (16, 16, 3), "vit-grey": (15, 15, 1), "resnet-basic": (37, 41, 1)}.get(
        name, (45, 38, 3)
    )
    x = rng.normal(size=(2, *side)).astype(np.float32)
    return x, torch.tensor(x).permute(0, 3, 1, 2)


def their_logits(model, x, **more):
    import torch

    with torch.no_grad():
        found = model(x, **more)
    return (found.logits if "logits" in found else found.prediction_logits).numpy()


def test_outputs_are_those_of_hugging_face(case):
    name, theirs, folder = case
    model = CLASSES[name].from_file(folder)
    assert not model.training
    x, there = inputs_of(name)
    want = their_logits(theirs, there)
    got = model(Tensor(x)).numpy()
    assert want.std() > 0.01  # not all the same
    assert np.abs(got - want).max() < 1e-4 * max(1.0, np.abs(want).max())


def test_weights_go_back_bit_for_bit_and_hugging_face_reads_them(case, tmp_path):
    name, theirs, folder = case
    model = CLASSES[name].from_file(folder)
    model.save_file(tmp_path)
    before, _ = safetensors.load(folder / "model.safetensors")
    after, metadata = safetensors.load(tmp_path / "model.safetensors")
    assert metadata == {"format": "pt"}
    assert set(after) == set(before)
    for key, array in before.items():
        assert array.dtype == after[key].dtype and array.shape == after[key].shape
        assert array.tobytes() == after[key].tobytes(), key
    again = type(theirs).from_pretrained(tmp_path).eval()
    _, there = inputs_of(name)
    assert np.array_equal(their_logits(again, there), their_logits(theirs, there))


def test_trained_weights_are_read_by_hugging_face(case, tmp_path):
    # A change made here is seen there, in the same place.
    name, theirs, folder = case
    model = CLASSES[name].from_file(folder)
    rng = np.random.default_rng(2)
    for p in model.parameters():
        p.assign(p + Tensor(rng.normal(size=p.shape).astype(np.float32) * 0.1))
    model.save_file(tmp_path)
    again = type(theirs).from_pretrained(tmp_path).eval()
    x, there = inputs_of(name)
    want, got = their_logits(again, there), model(Tensor(x)).numpy()
    assert np.abs(got - want).max() < 1e-4 * max(1.0, np.abs(want).max())


def test_a_file_alone_tells_everything_but_the_heads(case):
    name, _, folder = case
    whole = CLASSES[name].from_file(folder)
    heads = {k: v for k, v in whole.config().items() if k in ("n_head", "num_attention_heads")}
    alone = CLASSES[name].from_file(folder / "model.safetensors", **heads)
    x, _ = inputs_of(name)
    assert alone.config() == whole.config()
    assert np.array_equal(alone(Tensor(x)).numpy(), whole(Tensor(x)).numpy())


def test_masks_and_segments_of_bert_are_those_of_hugging_face(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    theirs = build_theirs("bert-pretraining")
    theirs.save_pretrained(tmp_path)
    model = models.BERT.from_file(tmp_path)
    rng = np.random.default_rng(3)
    x, types = rng.integers(0, V, (3, 9)), rng.integers(0, 3, (3, 9))
    mask = np.ones((3, 9), np.int64)
    mask[0, 5:] = mask[2, 8:] = 0
    with torch.no_grad():
        want = theirs(torch.tensor(x), torch.tensor(mask), torch.tensor(types))
    got = model(Tensor(x), Tensor(types), Tensor(mask)).numpy()
    real = mask == 1
    assert np.abs(got - want.prediction_logits.numpy())[real].max() < 1e-4
    encoded = model.encode(Tensor(x), Tensor(types), Tensor(mask))
    follows = model.follows(model.pooled(encoded)).numpy()
    assert np.abs(follows - want.seq_relationship_logits.numpy()).max() < 1e-4


def test_names_of_older_files_are_known(tmp_path):
    random.seed(0)
    gpt = models.GPT(11, 8, 12, 2, 3)
    gpt.save_file(tmp_path / "a.safetensors")
    arrays, _ = safetensors.load(tmp_path / "a.safetensors")
    # GPT-2's first files have no prefix, and the causal mask as entries.
    old = {name.removeprefix("transformer."): a for name, a in arrays.items()}
    for i in range(2):
        old[f"h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 8, 8), np.float32))
        old[f"h.{i}.attn.masked_bias"] = np.float32(-1e4)
    old["lm_head.weight"] = old["wte.weight"]
    safetensors.save(tmp_path / "b.safetensors", old)
    same(gpt, models.GPT.from_file(tmp_path / "b.safetensors", n_head=3))

    bert = models.BERT(11, 12, 1, 3, 16, 8, pooler=True, next_sentence=True)
    bert.save_file(tmp_path / "c.safetensors")
    arrays, _ = safetensors.load(tmp_path / "c.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): a
        for name, a in arrays.items()
    }
    assert len([name for name in old if name.endswith("gamma")]) == 4
    old["bert.embeddings.position_ids"] = np.arange(8)[None]
    old["cls.predictions.decoder.weight"] = old["bert.embeddings.word_embeddings.weight"]
    safetensors.save(tmp_path / "d.safetensors", old)
    same(bert, models.BERT.from_file(tmp_path / "d.safetensors", num_attention_heads=3))


def same(a, b):
    left, right = a.state_dict(), b.state_dict()
    assert list(left) == list(right)
    assert all(np.array_equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_resnet_has_torchvisions_names_and_layout(block, tmp_path):
    model = models.ResNet(block, (2, 1), (8, 16), 3, 5, "small")
    path = tmp_path / "resnet.safetensors"
    model.save_file(path, form="torchvision")
    arrays, _ = safetensors.load(path)
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer2.0.downsample.0.weight",
            "layer2.0.downsample.1.num_batches_tracked", "fc.bias"} <= set(arrays)  # fmt: skip
    assert arrays["conv1.weight"].shape == (model.stem_width, 3, 3, 3)
    assert arrays["fc.weight"].shape == (5, 16)
    again = models.ResNet.from_file(path)
    assert again.config() == model.config()
    same(model, again)
    with pytest.raises(FormatError, match="7x7 stem only"):
        model.save_file(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_a_model_in_several_files_is_read(tmp_path):
    model = models.GPT(11, 8, 12, 1, 3)
    model.save_file(tmp_path)
    arrays, _ = safetensors.load(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    names = sorted(arrays)
    where = {n: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, n in enumerate(names)}
    for file in set(where.values()):
        safetensors.save(tmp_path / file, {n: arrays[n] for n in names if where[n] == file})
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    same(model, models.GPT.from_file(tmp_path))
    for name in ("../model.safetensors", "/etc/passwd", "weights.bin"):
        index.write_text(json.dumps({"weight_map": {**where, names[0]: name}}))
        with pytest.raises(FormatError, match="no name of a safetensors file"):
            models.GPT.from_file(tmp_path)


# ---- what does not fit is listed at once


@pytest.fixture
def gpt_file(tmp_path):
    random.seed(0)
    model = models.GPT(11, 8, 12, 2, 3)
    model.save_file(tmp_path / "gpt.safetensors")
    arrays, _ = safetensors.load(tmp_path / "gpt.safetensors")
    return model, arrays, tmp_path / "gpt.safetensors"


def test_one_error_lists_all_that_does_not_fit_and_the_model_that_would(gpt_file):
    _, _, path = gpt_file
    smaller = models.GPT(11, 6, 12, 1, 3, n_inner=16)
    before = smaller.state_dict()
    with pytest.raises(FormatError) as error:
        smaller.load_file(path)
    text = str(error.value)
    assert "gpt.safetensors" in text and "nothing was changed" in text
    assert "12 in the file, not in the model" in text
    assert "transformer.h.1.attn.c_attn.weight [12, 36]" in text
    assert "of another shape" in text
    assert "transformer.wpe.weight: [8, 12] in the file, [6, 12] in the model" in text
    assert "transformer.h.0.mlp.c_fc.weight: [12, 48] in the file, [12, 16] in the model" in text
    assert (
        "models.GPT(vocab_size=11, n_positions=8, n_embd=12, n_layer=2, n_head=3, n_inner=48, bias=True, "
        "tied=True)" in text
    )
    for k, v in smaller.state_dict().items():
        assert np.array_equal(v, before[k])
    # the model that it names does fit
    models.GPT(vocab_size=11, n_positions=8, n_embd=12, n_layer=2, n_head=3, n_inner=48).load_file(
        path
    )


def test_missing_entries_are_listed_and_the_file_is_called_damaged(gpt_file):
    model, arrays, path = gpt_file
    for name in ("transformer.ln_f.weight", "transformer.h.0.ln_1.bias"):
        del arrays[name]
    safetensors.save(path, arrays)
    with pytest.raises(FormatError) as error:
        model.load_file(path)
    assert (
        "2 missing in the file: transformer.h.0.ln_1.bias [12]; transformer.ln_f.weight [12]"
        in str(error.value)
    )
    assert "damaged or not whole" in str(error.value)
    del arrays["transformer.wpe.weight"]
    safetensors.save(path, arrays)
    with pytest.raises(FormatError, match="do not tell which GPT it is"):
        models.GPT.from_file(path)
    with pytest.raises(FormatError, match="3 missing in the file"):
        model.load_file(path)


def test_a_config_that_does_not_belong_to_the_weights_is_told(tmp_path):
    models.GPT(11, 8, 12, 2, 3).save_file(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_layer": 3}))
    with pytest.raises(
        FormatError, match=r"(?s)12 missing in the file.*fit models.GPT\(.*n_layer=2"
    ):
        models.GPT.from_file(tmp_path)
    for field, value in (
        ("activation_function", "relu"),
        ("scale_attn_by_inverse_layer_idx", True),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**config, field: value}))
        with pytest.raises(FormatError, match=f"{field} = {value!r}"):
            models.GPT.from_file(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
    with pytest.raises(FormatError, match="'model_type' is 'llama'"):
        models.GPT.from_file(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_head": 5}))
    with pytest.raises(FormatError, match="cannot be made: GPT: n_head = 5 must divide"):
        models.GPT.from_file(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_head": "three"}))
    with pytest.raises(FormatError, match="cannot be made"):
        models.GPT.from_file(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_embd": 3 * 10**8}))
    with pytest.raises(FormatError, match="more numbers than the file of weights holds"):
        models.GPT.from_file(tmp_path)


def test_another_family_is_named(gpt_file, tmp_path):
    _, _, path = gpt_file
    with pytest.raises(
        FormatError, match=r"holds Hugging Face.s GPT-2, no BERT\. Use models\.GPT\.from_file"
    ):
        models.BERT.from_file(path)
    safetensors.save(path, {"a": np.zeros(2, np.float32)})
    with pytest.raises(
        FormatError, match=r"no ViT that we know: it must have 'vit\.embeddings\.cls_token'"
    ):
        models.ViT.from_file(path)
    with pytest.raises(FormatError, match="there is no such file"):
        models.GPT.from_file(tmp_path / "none.safetensors")


def test_pickled_weights_are_not_read(tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "opened"), "w")

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FormatError, match=r"pytorch_model\.bin, which is pickled"):
        models.GPT.from_file(tmp_path)
    with pytest.raises(FormatError, match="such files are pickled"):
        models.GPT.from_file(tmp_path / "pytorch_model.bin")
    assert not (tmp_path / "opened").exists()


def test_a_form_that_is_not_there_suggests_the_nearest(tmp_path):
    with pytest.raises(
        OptionError, match=r"form of ResNet 'torchvison' is unknown\. Did you mean 'torchvision'"
    ):
        models.resnet20().save_file(tmp_path, form="torchvison")


def test_a_gpt_without_biases_has_no_form_of_hugging_face(tmp_path):
    with pytest.raises(FormatError, match="always has biases"):
        models.GPT(11, 8, 12, 1, 3, bias=False).save_file(tmp_path)


def test_each_name_of_ours_leads_to_theirs_and_back():
    made = {
        "gpt2": models.GPT(11, 8, 12, 2, 3, tied=False),
        "bert": models.BERT(11, 12, 2, 3, 16, 8, pooler=True, next_sentence=True),
        "vit": models.ViT(8, 4, 3, 12, 2, 3, 16, 5),
        "resnet": models.ResNet("bottleneck", (1, 2), (8, 16)),
        "torchvision": models.ResNet("basic", (1, 2), (8, 16)),
    }
    for form, layout in LAYOUTS.items():
        seen = set()
        for name in made[form].state_dict():
            for theirs in layout.theirs(name)[0]:
                assert theirs not in seen
                seen.add(theirs)
                assert layout.ours(theirs) == name
