"""Would more data help? The score on the same test rows after learning from a tenth of the rows, from a fifth, ...

Each size is learned several times, from other rows and from other first weights, for about as many steps: what differs
between sizes is what the rows say, and what differs within a size is chance. `outlook` compares the two: a straight
line of the score over log2(rows), through the largest sizes, is the gain of each doubling, with its 95 % interval."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import OptionError
from ..data.dataset import Split
from ..data.encoder import Encoder
from ..data.shuffle import permutation
from .balance import restore_shares
from .evaluation import evaluate
from .loop import Options, fit
from .recipe import Recipe
from .streamed import Streamed
from .tables import Table

SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
LARGEST = 3  # sizes that the line goes through: a curve bends, its end tells what comes next
FEWEST = 10  # rows of the smallest size
WORTH = 0.05  # of the error that is left: a smaller gain for twice the rows is hardly worth them
# 97.5 % quantiles of Student's t by degrees of freedom, from 1
STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Score:
    """How answers are judged: its name, and whether more is better."""

    name: str
    is_better_high: bool

    def error(self, value: float) -> float:
        """What is left to gain."""
        return 1 - value if self.is_better_high else value


SCORES = {
    "classify": Score("accuracy", True),
    "regress": Score("RMSE", False),
    "continue": Score("loss", False),
}


@dataclass(frozen=True)
class Point:
    """One size: its share of the rows to learn from, how many they are, and the score of each repeat."""

    share: float
    rows: int
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the repeats."""
        return float(np.mean(self.scores))

    @property
    def deviation(self) -> float:
        """Of one repeat; 0 for a single one."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0


@dataclass(frozen=True)
class Outlook:
    """What twice the rows would bring: the gain in the score (positive: better) with its 95 % interval, in words."""

    gain: float
    low: float
    high: float
    says: str  # help, hardly or unknown


def grow(made: Recipe, repeats: int = 3, shares: Sequence[float] = SHARES) -> Iterator[Point]:
    """The points from small to large, each as soon as it is measured.

    Raises OptionError for what has no rows that stand alone, or no test rows."""
    if made.task not in SCORES:
        raise OptionError(
            f"curve shows how a score grows with the rows; {made.data} is learned to {made.task}, where rows do not "
            f"stand alone. It is for {', '.join(SCORES)}."
        )
    data = made.dataset()
    parts = made.split(data)
    if not len(parts.test):
        raise OptionError(
            f"{made.data}: no test rows to judge by; there are too few of each class."
        )
    known: set[int] = set()
    for share in shares:
        n = min(len(parts.train), max(FEWEST, round(share * len(parts.train))))
        if n in known:
            continue
        known.add(n)
        scores = tuple(
            learn(made, data, parts, subset(made, data, parts, n, r), made.seed + r)
            for r in range(repeats)
        )
        yield Point(n / len(parts.train), n, scores)


def subset(made: Recipe, data: Any, parts: Split, n: int, repeat: int) -> np.ndarray:
    """n rows to learn from, in the order of the data; smaller sizes of one repeat lie within larger ones.

    Of a text the first windows: what lies between others would be half known."""
    if made.task == "continue":
        return parts.train[:n]
    order = permutation(len(parts.train), made.seed + repeat, "growth")
    return np.sort(parts.train[order[:n]])


def learn(made: Recipe, data: Any, parts: Split, rows: np.ndarray, seed: int) -> float:
    """The score on the test rows of a network that has learned from these rows."""
    data = known_from(data, rows)
    share = len(rows) / len(parts.train)
    parts = dataclasses.replace(parts, train=rows)
    # Fewer rows are seen more often: as many steps for every size, or the small ones would not be learned out.
    made = dataclasses.replace(
        made,
        seed=seed,
        epochs=math.ceil(made.epochs / share),
        patience=math.ceil(made.patience / share),
    )
    network = made.network(data)
    options = Options(made.epochs, made.batch, made.patience or None, made.seed, made.loss())
    for _ in fit(network, data, parts, made.make_optimizer(network, made.n_steps(parts)), options):
        pass
    if isinstance(data, Table) and data.class_weights is not None:
        restore_shares(network, data.class_weights)
    found = evaluate(network, data, parts.test, made.loss())
    if made.task == "classify":
        return found.accuracy or 0.0
    scale = data.target.scale if getattr(data, "target", None) is not None else 1.0
    return math.sqrt(found.loss) * scale if made.task == "regress" else found.loss


def known_from(data: Any, rows: np.ndarray) -> Any:
    """A table encoded by what these rows alone tell: their means, levels and words; other data as they are."""
    if not isinstance(data, Table) or isinstance(data, Streamed):  # a streamed one is encoded once
        return data
    encoder = Encoder.fit(data.frame, data.schema, rows)
    x = encoder.transform(data.frame)
    return dataclasses.replace(data, encoder=encoder, x=x, shape=(x.shape[1],))


def outlook(points: Sequence[Point], score: Score) -> Outlook:
    """The line through the largest sizes, and what it means. Two sizes and three scores at least: else unknown."""
    used = points[-LARGEST:]
    x = np.array([math.log2(p.rows) for p in used for _ in p.scores])
    y = np.array([s for p in used for s in p.scores]) * (1 if score.is_better_high else -1)
    if len(used) < 2 or len(y) < 3:
        return Outlook(math.nan, math.nan, math.nan, "unknown")
    centred = x - x.mean()
    gain = float(centred @ y / (centred @ centred))
    left = y - y.mean() - gain * centred
    freedom = len(y) - 2
    error = math.sqrt(float(left @ left) / freedom / float(centred @ centred))
    reach = (STUDENT[freedom - 1] if freedom <= len(STUDENT) else 1.96 + 2.5 / freedom) * error
    low, high = gain - reach, gain + reach
    worth = WORTH * score.error(points[-1].mean)
    if low > 0 and gain >= worth:
        says = "help"
    elif high <= worth or low > 0:
        says = "hardly"
    else:
        says = "unknown"
    return Outlook(gain, low, high, says)
