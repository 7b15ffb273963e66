"""DCGAN: a generator makes images from noise, a critic tells them from real ones; both are convolutional.

Radford et al. (2016), Unsupervised representation learning with deep convolutional generative adversarial
networks; the game is that of Goodfellow et al. (2014)"""

from collections.abc import Callable
from typing import Any

from .. import nn
from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from ..nn import init as initial
from ..nn.losses_gan import critic_loss, generator_loss, r1_penalty
from ..optim.optimizer import Optimizer
from ..tensor import random
from ..tensor.gradient import grad
from ..tensor.tensor import Tensor, as_tensor
from .model import Model, normal_weights, whole

# B batch, H height, W width, C channels


def scales(name: str, image_size: int) -> tuple[int, int]:
    """(side of the smallest image, how often it doubles): 28 is 7 doubled twice, 64 is 4 doubled four times."""
    side, n = int(image_size), 0
    while side % 2 == 0 and side > 7:
        side, n = side // 2, n + 1
    if n == 0 or side > 7:
        raise OptionError(
            f"{name}: image_size {image_size} must be 4 to 7 doubled one or more times, like 28, 32 or 64. Resize "
            "or pad the images."
        )
    return side, n


class Generator(nn.Module):
    """Noise (B, latent) -> images (B, image_size, image_size, channels) between -1 and 1.

    Transposed convolutions double the side, each but the last with batch norm and ReLU."""

    def __init__(self, image_size: int, channels: int, latent: int, width: int, dtype: Any):
        side, n = scales("Generator", image_size)
        self.latent = latent
        wide = width * 2 ** (n - 1)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latent, wide, side, bias=False, dtype=dtype),
            nn.BatchNorm2d(wide, dtype=dtype),
            nn.ReLU(),
        ]
        for _ in range(n - 1):
            layers += [
                nn.ConvTranspose2d(wide, wide // 2, 4, 2, padding=1, bias=False, dtype=dtype),
                nn.BatchNorm2d(wide // 2, dtype=dtype),
                nn.ReLU(),
            ]
            wide //= 2
        layers += [nn.ConvTranspose2d(wide, channels, 4, 2, padding=1, dtype=dtype), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor) -> Tensor:
        noise = as_tensor(noise)
        if noise.ndim != 2 or noise.shape[1] != self.latent:
            raise ShapeError(
                f"Generator got noise of shape {tuple(noise.shape)}: it needs (batch, {self.latent})."
            )
        return self.layers(noise.reshape(noise.shape[0], 1, 1, self.latent))


class Critic(nn.Module):
    """Images (B, image_size, image_size, channels) -> one score each (B,): high where they look real.

    Convolutions halve the side, with leaky ReLU.

    norm  'batch' (DCGAN; not in the first), or 'layer' (WGAN-GP, whose penalty belongs to each example)"""

    def __init__(self, image_size: int, channels: int, width: int, norm: str, dtype: Any):
        side, n = scales("Critic", image_size)
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, 2, padding=1, dtype=dtype),
            nn.LeakyReLU(0.2),
        ]
        for i in range(1, n):
            wide, size = 2 * width, image_size // 2 ** (i + 1)
            layers += [
                nn.Conv2d(width, wide, 4, 2, padding=1, bias=norm != "batch", dtype=dtype),
                nn.BatchNorm2d(wide, dtype=dtype)
                if norm == "batch"
                else nn.LayerNorm((size, size, wide), dtype=dtype),
                nn.LeakyReLU(0.2),
            ]
            width = wide
        layers.append(nn.Conv2d(width, 1, side, dtype=dtype))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).reshape(x.shape[0])


class GAN(Model):
    """Base of DCGAN and WGAN_GP: a generator and a critic that learn from each other; not used alone.

    generator, critic  its two networks; forward(noise) gives the generator's images"""

    generator: Generator
    critic: Critic
    latent: int

    def noise(self, n: int) -> Tensor:
        """Noise for n images, N(0, 1), (n, latent)."""
        return random.normal(n, self.latent, dtype=self.generator.layers[0].weight.dtype)

    def forward(self, noise: Tensor) -> Tensor:
        return self.generator(noise)


class DCGAN(GAN):
    """Both networks with batch norm and a score that is a logit.

    image_size  side of the square images: 4 to 7, doubled one or more times
    channels    1 for grey images, 3 for colours; values are between -1 and 1
    latent      how many noise values make an image
    width       channels next to the image; they double each time that the side halves

    Weights begin N(0, 0.02^2), those of norms N(1, 0.02^2). Section 3 of the paper."""

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        latent: int = 64,
        width: int = 32,
        dtype: Any = dtypes.float32,
    ):
        self.image_size, self.channels, self.latent, self.width = whole(
            self, image_size=image_size, channels=channels, latent=latent, width=width
        )
        self.generator = Generator(image_size, channels, latent, width, dtype)
        self.critic = Critic(image_size, channels, width, "batch", dtype)
        dcgan_weights(self)

    def step(
        self, generator: Optimizer, critic: Optimizer, gamma: float = 0.0
    ) -> Callable[[Tensor], tuple]:
        """A function for compile: a batch of real images -> (critic's loss, generator's loss). Each network
        learns once, the critic first. The usual optimizer is Adam(lr=2e-4, betas=(0.5, 0.999)).

        gamma  weight of the critic's r1_penalty, not in the paper: steadier, allows a higher lr and costs half as
               much again; the loss that is returned is without it"""

        def learn(real: Tensor) -> tuple[Tensor, Tensor]:
            made = self.generator(self.noise(real.shape[0]))
            # detach: how the critic judges these images must not change the generator.
            loss = critic_loss(self.critic(real), self.critic(made.detach()))
            penalty = gamma / 2 * r1_penalty(self.critic, real) if gamma else 0.0
            critic.step(grad(loss + penalty, critic.parameters))
            other = generator_loss(self.critic(made))
            generator.step(grad(other, generator.parameters))
            return loss, other

        return learn


def dcgan_weights(model: nn.Module) -> None:
    """The paper's initial weights: kernels N(0, 0.02^2), weights of batch norms N(1, 0.02^2)."""
    normal_weights(model, 0.02)
    for _, layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) and (w := layer.weight) is not None:
            w.assign(Tensor(1.0 + initial.normal(w.shape, 0.02, w.dtype)))
