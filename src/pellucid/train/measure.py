"""What a trained network is worth on rows that it has not seen, beside what needs no network: one row a task.

Each function takes (recipe, network, data, parts) and gives the entries of the result that its task has.
`metrics` (loss and accuracy of each part) is common to all."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..data.dataset import Dataset, Split
from ..data.patches import Patches, brought_back
from ..data.pictures import Pictures
from ..data.sequence import Scales, Series, Text
from ..models.samples import fixed_noise
from . import baselines
from . import metrics as m
from .balance import Alarm, alarms, decided, is_rare, rows_to_learn
from .evaluation import Evaluator, evaluate, predict
from .resampling import mean_interval
from .samples import Sampler, nearest
from .scores import classification, regression
from .streamed import Streamed
from .tables import Table

STRETCHES = 100  # of a text, whose losses are drawn again for an interval
HORIZONS = (1, 3, 6, 12)  # steps ahead at which forecasts are measured
N_MADE = 500  # pictures that are judged
MOST_JUDGED = 2000  # real ones that they are compared with: the distances of all pairs are held


def measure(made: Any, network: Any, data: Any, parts: Split, alarm: Alarm | None = None) -> dict:
    """metrics of every part that has rows, and what MEASURES says for the task. Every row counts once.

    alarm  from which probability on the network answers a rare class"""
    if getattr(data, "weights", None) is not None:
        data = replace(data, weights=None)
    scores = {}
    for name, rows in (
        ("train", parts.train),
        ("validation", parts.validation),
        ("test", parts.test),
    ):
        if len(rows) and made.task != "generate":
            scores[name] = evaluate(network, data, rows, made.loss()).as_dict()
    if isinstance(data, Streamed):  # what follows looks at many rows at once
        if not data.has_room_for_sklearn:
            made = replace(made, baselines=False)
        data, parts = data.looked_at()
        found = {"sampled": {"train": len(parts.train), "test": len(parts.test)}}
    else:
        found = {}
    measured = MEASURES[made.task]
    if made.task == "classify" and isinstance(data, (Table, Pictures)):
        measured = partial(measure_classes_of_rows, alarm=alarm)
    return {"metrics": scores, **found, **measured(made, network, data, parts, scores)}


def measure_classes(made: Any, network: Any, data: Dataset, parts: Split, scores: dict) -> dict:
    """The confusion table, and always answering the most frequent class."""
    return confused(data, parts, chances(network, data, parts.test).argmax(1))


def chances(network: Any, data: Dataset, rows: np.ndarray) -> np.ndarray:
    """(n, C) probabilities of these rows, of which there may be none."""
    return predict(network, data.x, rows=rows) if len(rows) else np.zeros((0, len(data.classes)))


def confused(data: Dataset, parts: Split, predicted: np.ndarray) -> dict:
    """The confusion table of these answers to the test rows, and always answering the most frequent class."""
    truth = data.y[parts.test]
    majority, baseline = m.majority_baseline(data.y[parts.train], truth)
    return {
        "baseline": {"class": data.classes[majority], "accuracy": baseline},
        "confusion": m.confusion(truth, predicted, len(data.classes)).tolist(),
        "classes": list(data.classes),
    }


def measure_amounts(made: Any, network: Any, data: Any, parts: Split, scores: dict) -> dict:
    """Errors in the target's unit, beside always answering the mean and other simple methods."""
    tested = parts.test
    outputs = predict(network, data.x, False, tested) if len(tested) else np.zeros(0)
    truth = data.target.decode_amounts(data.y)
    ours = data.target.decode_amounts(outputs.reshape(-1))
    return {
        "scores": regression(ours, truth[tested], made.seed),
        "baselines": baselines.table_baselines(
            seen_by_simple(data),
            truth,
            parts,
            (),
            seed=made.seed,
            ours=ours,
            is_quick=made.baselines is False,
        ),
    }


def measure_classes_of_rows(
    made: Any, network: Any, data: Any, parts: Split, scores: dict, alarm: Alarm | None
) -> dict:
    """As measure_classes; and every score of the probabilities, beside those of simple methods."""
    tested = parts.test
    p, y = chances(network, data, tested), data.y[tested]
    answers = decided(p, alarm)
    found = confused(data, parts, answers)
    counts = rows_to_learn(data, parts)
    if is_rare(counts) and len(tested):
        rare, best = int(counts.argmin()), alarm.threshold if alarm else None
        found["alarms"] = alarms(p[:, rare], y, data.classes, rare, best)
        scores["test"]["accuracy"] = float(np.mean(answers == y))
    return {
        **found,
        "scores": classification(p, y, data.classes, made.seed, alarm),
        "baselines": simple_methods(made, data, parts, p),
    }


def simple_methods(made: Any, data: Any, parts: Split, ours: np.ndarray) -> dict:
    """What needs no network.

    ours  the network's probabilities of the test rows"""
    x = seen_by_simple(data)
    return baselines.table_baselines(
        x, data.y, parts, data.classes, seed=made.seed, ours=ours, is_quick=made.baselines is False
    )


def seen_by_simple(data: Any) -> np.ndarray:
    """What simple methods learn from: of pictures the means of 8 x 8 blocks, as every pixel would take them hours."""
    return data.coarse() if isinstance(data, Pictures) else data.x


def measure_text(made: Any, network: Any, data: Text, parts: Split, scores: dict) -> dict:
    """Perplexity of each part, and that of counting characters and pairs of characters."""
    for score in scores.values():
        score["perplexity"] = m.perplexity(score["loss"])
    if "test" in scores:
        found = perplexity_interval(network, data, parts.test, made.seed)
        scores["test"]["perplexity_interval"] = found
    # All characters that the network was allowed to learn from, and all that it is tested on.
    learned = data.codes[: parts.validation[0] if len(parts.validation) else parts.test[0]]
    tested = data.codes[parts.test[0] :]
    n = len(data.classes)
    losses = {
        "unigram": baselines.unigram_loss(learned, tested, n),
        "bigram": baselines.bigram_loss(learned, tested, n),
    }
    return {
        "baseline": {k: {"loss": v, "perplexity": m.perplexity(v)} for k, v in losses.items()},
        "characters": n,
    }


def perplexity_interval(
    network: Any, data: Text, rows: np.ndarray, seed: int = 0
) -> list[float] | None:
    """95 % interval of the perplexity over these windows, by resampling stretches of the text; None for a few."""
    size = -(-len(rows) // STRETCHES)
    judge = Evaluator(network, data, "cross_entropy", size)
    stretches = [rows[i : i + size] for i in range(0, len(rows) - size + 1, size)]
    found = mean_interval(np.array([judge(stretch).loss for stretch in stretches]), seed)
    return None if found is None else [m.perplexity(loss) for loss in found]


def roll(network: Any, scales: Scales, windows: np.ndarray, steps: int) -> np.ndarray:
    """(N, steps) the values that the network expects after each window (N, T), in the series' unit.

    Beyond the first step it looks at what it has forecast itself."""
    window = windows.shape[1]
    seen = np.asarray(windows, np.float64)
    for _ in range(steps):
        outputs = predict(network, scales.inputs(seen[:, -window:]), probabilities=False)
        new = scales.forecast(seen[:, -1], outputs.reshape(len(seen)))
        seen = np.concatenate([seen, new[:, None]], 1)
    return seen[:, window:]


def measure_series(made: Any, network: Any, data: Series, parts: Split, scores: dict) -> dict:
    """Errors in the series' unit, one step ahead and further, and those of persistence and of an autoregression.

    Further ahead each forecasts from its own forecasts; h steps ahead the first h - 1 values have none."""
    train, validation, test = (p + data.window for p in (parts.train, parts.validation, parts.test))
    simple = baselines.autoregression(data.values, train, validation, data.window)
    horizons = range(1, made.horizon + 1) if made.horizon else HORIZONS
    longest = min(horizons[-1], len(test))
    back = np.arange(-data.window, 0)
    # Windows that end before each held-out value, and how each method goes on from there.
    windows = data.values[test[:, None] + back]
    expected = {
        "forecast": roll(network, data.scales, windows, longest),
        "persistence": np.repeat(windows[:, -1:], longest, 1),
        "autoregression": simple.roll(windows, longest),
    }
    truth = data.values[test]

    def at(name: str, h: int) -> dict:
        return baselines.errors(
            expected[name][: len(test) - h + 1, h - 1], truth[h - 1 :]
        ).as_dict()

    further = [
        {"steps": h, **{name: at(name, h)["mae"] for name in expected}}
        for h in horizons
        if h <= longest
    ]
    last = test[-longest]  # the last stretch that the longest forecast reaches to the end of
    past = np.arange(max(0, last - max(data.window, 2 * longest)), last)
    return {
        "unit": data.unit,
        "forecast": {
            **at("forecast", 1),
            "mae_interval": mean_interval(np.abs(expected["forecast"][:, 0] - truth), made.seed),
        },
        "baseline": {
            "persistence": at("persistence", 1),
            "autoregression": {"order": simple.order, **at("autoregression", 1)},
        },
        "mae_ahead": further,
        "test": {
            "times": [data.times[i] for i in test],
            "truth": truth.tolist(),
            "forecast": expected["forecast"][:, 0].tolist(),
        },
        "stretch": {
            "times": [data.times[i] for i in (*past, *range(last, last + longest))],
            "past": data.values[past].tolist(),
            "truth": truth[len(test) - longest :].tolist(),
            "forecast": expected["forecast"][len(test) - longest].tolist(),
            "persistence": expected["persistence"][len(test) - longest].tolist(),
        },
    }


def measure_pictures(made: Any, network: Any, data: Dataset, parts: Split, scores: dict) -> dict:
    """Made pictures among real ones, by nearest neighbours; beside real pictures and mixed pixels.

    precision  the part of made pictures that lies as near to a training picture as these lie to each other
    coverage   the part of held-out real pictures that has a made one as near as other real ones
    copies     the part of made pictures that lies so near to a training picture, that it is a copy
    per_class  how many made pictures are nearest to a real one of each class: all should appear"""
    # Not the noise of the sheets: another seed, so that what was watched is not what is judged.
    pictures = Sampler(network)(fixed_noise(N_MADE, network.latent, made.seed + 1))
    judged = evenly(parts.train, MOST_JUDGED)
    train, real = data.x[judged], data.x[evenly(parts.test, MOST_JUDGED)]
    found = nearest(pictures, data, parts)
    counts = np.bincount(data.y[found.rows].astype(np.int64), minlength=len(data.classes))
    # What needs no network: each pixel drawn from that pixel of some training picture.
    flat = train.reshape(len(train), -1)
    rng = np.random.default_rng(made.seed)
    mixed = np.take_along_axis(flat, rng.integers(0, len(flat), (N_MADE, flat.shape[1])), 0)
    as_many = train[np.linspace(0, len(train) - 1, N_MADE).astype(int)]

    def among(found: np.ndarray) -> dict:
        precision, coverage = baselines.precision_and_coverage(found, train, real)
        return {"precision": precision, "coverage": coverage}

    return {
        "pictures": {
            "n": N_MADE,
            **among(pictures),
            "copies": float(np.mean(found.is_copy)),
            "per_class": counts.tolist() if data.classes else [],
        },
        "baseline": {
            "real": {
                "precision": among(real)["precision"],
                "coverage": among(as_many)["coverage"],
            },
            "mixed_pixels": among(mixed),
        },
        "classes": list(data.classes),
    }


def measure_enhanced(made: Any, network: Any, data: Patches, parts: Split, scores: dict) -> dict:
    """PSNR of held-out pictures, the mean over them, beside doing nothing and what needs no network."""
    tested = parts.test
    clean, given = data.clean[tested], data.given[tested]
    nothing = given
    if data.fault == "small":  # every pixel of the small picture four times
        nothing = np.stack([brought_back(p, "nearest") for p in clean])
        simple = given
    else:
        simple = np.stack([brought_back(p) for p in given])
    outputs = predict(network, given.astype(np.float32) / 255, probabilities=False)
    ours = np.clip(np.rint(outputs * 255), 0, 255)
    picture = data.picture[tested]
    return {
        "enhanced": {
            "fault": data.fault,
            "n": len(np.unique(picture)),
            "psnr": psnr(ours, clean, picture),
        },
        "baseline": {
            "nothing": {"psnr": psnr(nothing, clean, picture)},
            "bicubic": {"psnr": psnr(simple, clean, picture)},
        },
    }


def psnr(found: np.ndarray, truth: np.ndarray, picture: np.ndarray) -> float:
    """10 log10(255^2 / mean squared error) in decibels: the mean over pictures of several patches each.

    A picture that is met exactly counts as 100 dB, not as infinitely many."""
    squares = ((found.astype(np.float64) - truth) ** 2).mean((1, 2, 3))
    means = [squares[picture == i].mean() for i in np.unique(picture)]
    return float(np.mean([min(100.0, 10 * math.log10(255**2 / max(m, 1e-9))) for m in means]))


def evenly(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, evenly."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int)]


MEASURES: dict[str, Callable[..., dict]] = {
    "classify": measure_classes,
    "generate": measure_pictures,
    "continue": measure_text,
    "forecast": measure_series,
    "regress": measure_amounts,
    "enhance": measure_enhanced,
}
