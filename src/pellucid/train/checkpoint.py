"""A checkpoint: everything that a run needs to go on and end with the same bits.

One safetensors file, replaced whole (formats/atomic.py):
  network/NAME  optimizer/NAME  best/NAME   weights, moments, the best weights so far
  random        the global generator (seed, counter)
  position      int64: epoch, step in it, best epoch; the row order follows from seed and epoch
  sums          float64: loss over the epoch's answers so far, answers right, rows seen; best loss
  others        (K,) float64: sums of further losses, where a network has several
  history       (E, 6 + K) float64: what each finished epoch scored
and as metadata the data's fingerprint and the settings, which must be equal to continue."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base.errors import FormatError, NonFiniteError, RunError
from ..formats import safetensors
from ..formats.atomic import FILES, Files

FORMAT = "pellucid-checkpoint"
VERSION = "1"
POSITION = ("epoch", "step", "best_epoch")
SUMS = ("loss_sum", "n_correct", "n_answers", "best_loss")
# train loss, accuracy; validation loss, accuracy (NaN when there is none); is best; n_train;
# after these six the other losses in training
N_HISTORY = 6


@dataclass
class Checkpoint:
    """The state of a run between two steps."""

    network: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]
    best: dict[str, np.ndarray]  # empty before the first epoch has ended
    random: np.ndarray
    epoch: int  # in progress, counted from 0
    step: int  # steps done in it
    best_epoch: int
    loss_sum: float
    n_correct: int
    n_answers: int
    best_loss: float
    others: np.ndarray
    history: np.ndarray
    fingerprint: str
    settings: dict


def save(path: str | Path, state: Checkpoint, files: Files = FILES) -> None:
    """Replaces the checkpoint. Raises NonFiniteError, and keeps the old one, for NaN or infinite weights."""
    tensors: dict[str, np.ndarray] = {}
    for group in ("network", "optimizer", "best"):
        for name, array in getattr(state, group).items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                n_bad = int((~np.isfinite(array)).sum())
                raise NonFiniteError(
                    f"{path}: {group} {name!r} has {n_bad} values that are not finite, after step {state.step} of "
                    f"epoch {state.epoch + 1}. The checkpoint is not written; the previous one is kept."
                )
            tensors[f"{group}/{name}"] = array
    tensors["random"] = np.asarray(state.random, np.int64)
    tensors["position"] = np.array([getattr(state, name) for name in POSITION], np.int64)
    tensors["sums"] = np.array([getattr(state, name) for name in SUMS], np.float64)
    tensors["others"] = np.asarray(state.others, np.float64)
    width = N_HISTORY + len(tensors["others"])
    tensors["history"] = np.asarray(state.history, np.float64).reshape(-1, width)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "data": state.fingerprint,
        "settings": json.dumps(state.settings, sort_keys=True),
    }
    safetensors.save(path, tensors, metadata, files)


def load(path: str | Path) -> Checkpoint:
    """Reads and checks a checkpoint. Raises FormatError naming the file and the field."""
    tensors, metadata = safetensors.load(path)
    if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
        raise FormatError(
            f"{path}: field 'format' is {metadata.get('format')!r} {metadata.get('version')!r}; this pellucid goes on "
            f"with {FORMAT!r} {VERSION!r}. Use the pellucid that wrote it, or start a new run."
        )
    groups: dict[str, dict[str, np.ndarray]] = {"network": {}, "optimizer": {}, "best": {}}
    for name, array in tensors.items():
        group, slash, rest = name.partition("/")
        if slash and group in groups:
            groups[group][rest] = array
    expected = {"random": ("int64", (2,)), "position": ("int64", (3,)), "sums": ("float64", (4,))}
    for name, (dtype, shape) in expected.items():
        found = tensors.get(name)
        if found is None or found.dtype != dtype or found.shape != shape:
            raise FormatError(
                f"{path}: field {name!r} must be {dtype} of shape {shape}. The file is damaged."
            )
    others, history = tensors.get("others", np.zeros(0)), tensors.get("history")
    if others.ndim != 1 or others.dtype != np.float64:
        raise FormatError(f"{path}: field 'others' must be float64 with one axis.")
    width = N_HISTORY + len(others)
    if (
        history is None
        or history.ndim != 2
        or history.shape[1] != width
        or history.dtype != np.float64
    ):
        raise FormatError(f"{path}: field 'history' must be float64 of shape (epochs, {width}).")
    position = dict(zip(POSITION, map(int, tensors["position"]), strict=True))
    sums = dict(zip(SUMS, map(float, tensors["sums"]), strict=True))
    if min(position["epoch"], position["step"]) < 0 or position["epoch"] < len(history):
        raise FormatError(
            f"{path}: field 'position' {position} does not fit {len(history)} finished epochs."
        )
    try:
        settings = json.loads(metadata.get("settings", "{}"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: field 'settings' is not valid JSON: {error}.") from error
    return Checkpoint(
        network=groups["network"],
        optimizer=groups["optimizer"],
        best=groups["best"],
        random=tensors["random"],
        epoch=position["epoch"],
        step=position["step"],
        best_epoch=position["best_epoch"],
        loss_sum=sums["loss_sum"],
        n_correct=int(sums["n_correct"]),
        n_answers=int(sums["n_answers"]),
        best_loss=sums["best_loss"],
        others=others,
        history=history,
        fingerprint=metadata.get("data", ""),
        settings=settings if isinstance(settings, dict) else {},
    )


def check_same_run(path: str | Path, state: Checkpoint, fingerprint: str, settings: dict) -> None:
    """Raises RunError when data or settings are not those of the checkpoint: the bits would differ."""
    if state.fingerprint != fingerprint:
        raise RunError(
            f"{path}: the data has changed since this checkpoint was written (fingerprint {state.fingerprint[:12]}, "
            f"now {fingerprint[:12]}). Continue with the same data, or start a new run."
        )
    changed = sorted(
        k for k in {*settings, *state.settings} if settings.get(k) != state.settings.get(k)
    )
    if changed:
        k = changed[0]
        raise RunError(
            f"{path}: this run was started with {k} = {state.settings.get(k)!r}, now it is {settings.get(k)!r}. "
            f"Continue with the same settings, or start a new run."
        )
