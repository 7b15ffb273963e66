"""Losses of generators: of adversaries, by scores of the critic (logits, not probabilities); and the
divergence that a variational autoencoder adds.

Goodfellow et al. (2014); Mao et al. (2017) least squares; Arjovsky et al. (2017) Wasserstein; Gulrajani
et al. (2017) its gradient penalty; Kingma and Welling (2014)"""

from collections.abc import Callable

from ..base.errors import ShapeError
from ..tensor import functions as F
from ..tensor import random
from ..tensor.gradient import grad
from ..tensor.tensor import Tensor
from .init import nearest
from .losses import as_tensor, reduce, same_shape


def _likelihood(real: Tensor, fake: Tensor) -> Tensor:
    return -F.log_sigmoid(real).mean() - F.log_sigmoid(-fake).mean()


# kind -> what the critic makes small, from its scores of real and of made examples
CRITICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "non_saturating": _likelihood,
    "minimax": _likelihood,
    "least_squares": lambda real, fake: (
        0.5 * ((real - 1.0) * (real - 1.0)).mean() + 0.5 * (fake * fake).mean()
    ),
    "wasserstein": lambda real, fake: fake.mean() - real.mean(),
    "hinge": lambda real, fake: F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean(),
}

# kind -> what the generator makes small, from the critic's scores of its examples
GENERATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "non_saturating": lambda fake: -F.log_sigmoid(fake).mean(),
    "minimax": lambda fake: F.log_sigmoid(-fake).mean(),
    "least_squares": lambda fake: 0.5 * ((fake - 1.0) * (fake - 1.0)).mean(),
    "wasserstein": lambda fake: -fake.mean(),
    "hinge": lambda fake: -fake.mean(),
}


def critic_loss(real: Tensor, fake: Tensor, kind: str = "non_saturating") -> Tensor:
    """What the critic (discriminator) makes small, from its scores; D is sigmoid(score).

    non_saturating, minimax  -mean(log D(real)) - mean(log(1 - D(fake)))
    least_squares            (mean((real - 1)^2) + mean(fake^2)) / 2
    wasserstein              mean(fake) - mean(real); add a gradient_penalty
    hinge                    mean(max(0, 1 - real)) + mean(max(0, 1 + fake)). Lim and Ye (2017)"""
    return CRITICS[nearest(kind, CRITICS, "GAN loss")](as_tensor(real), as_tensor(fake))


def generator_loss(fake: Tensor, kind: str = "non_saturating") -> Tensor:
    """What the generator makes small, from the critic's scores of its examples; D is sigmoid(score).

    non_saturating       -mean(log D(fake)): steep where the critic is sure
    minimax              mean(log(1 - D(fake))): flat there, which is why the other is used
    least_squares        mean((fake - 1)^2) / 2
    wasserstein, hinge   -mean(fake)"""
    return GENERATORS[nearest(kind, GENERATORS, "GAN loss")](as_tensor(fake))


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    mix: Tensor | None = None,
    target: float = 1.0,
) -> Tensor:
    """mean((|gradient of critic at x| - target)^2), x between a real and a made example.

    critic  a function or Module: (B, ...) -> scores, one or more for each example
    real, fake  (B, ...), one shape
    mix     (B,) from 0 (fake) to 1 (real): where between them x lies; drawn evenly when left out
    returns ()

    WGAN-GP adds 10 times this to the critic's loss. The penalty is differentiated again when the critic
    learns, so it uses no value of the graph twice. Gulrajani et al. (2017), eq. 3."""
    real, fake = as_tensor(real), as_tensor(fake)
    if real.shape != fake.shape or not real.ndim:
        raise ShapeError(
            f"gradient_penalty: real has shape {tuple(real.shape)}, fake {tuple(fake.shape)}; they must be "
            f"equal, (B, ...): one made example beside each real one."
        )
    n = real.shape[0]
    if mix is None:
        mix = random.uniform(n, dtype=real.dtype)
    each = as_tensor(mix).reshape((n,) + (1,) * (real.ndim - 1))
    # A place, not a path: the penalty asks for the critic's slope there, whoever made the examples.
    x = (fake + each * (real - fake)).detach()
    slope = grad(critic(x).sum(), x)
    squared = (slope * slope).reshape(n, -1).sum(-1)
    # The root's slope at 0 is infinite: a flat critic gets the gradient 0.
    is_flat = squared == 0
    length = F.where(is_flat, 0.0, F.where(is_flat, 1.0, squared).sqrt())
    difference = length - target
    return (difference * difference).mean()


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """mean(|gradient of critic at real|^2): keeps the critic flat where the data are.

    critic  a function or Module: (B, ...) -> scores, one or more for each example
    real    (B, ...)
    returns ()

    gamma / 2 times this is added to the critic's loss; without it the two networks may circle around their
    balance for ever. It is differentiated again when the critic learns. Mescheder et al. (2018), eq. 9."""
    x = as_tensor(real).detach()
    if not x.ndim:
        raise ShapeError("r1_penalty got a single number; needed are examples, (B, ...).")
    slope = grad(critic(x).sum(), x)
    return (slope * slope).sum() / x.shape[0]


def gaussian_kl(mean: Tensor, log_variance: Tensor, reduction: str = "mean") -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of a diagonal normal, summed over the last axis.

    mean, log_variance  (..., D)
    returns (...,) for none; mean and sum are over the examples

    -(1 + log_variance - mean^2 - exp(log_variance)) / 2. Kingma and Welling (2014), appendix B."""
    m, v = same_shape("gaussian_kl", mean, log_variance)
    if not m.ndim:
        raise ShapeError("gaussian_kl got single numbers; needed is a last axis to sum over: (1,).")
    return reduce((m * m + v.exp() - 1.0 - v).sum(-1) * 0.5, reduction)
