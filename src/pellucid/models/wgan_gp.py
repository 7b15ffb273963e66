"""WGAN-GP: the critic measures how far made images are from real ones, and its slope is kept near 1.

Gulrajani et al. (2017), Improved training of Wasserstein GANs; the distance is that of Arjovsky et al. (2017)"""

from collections.abc import Callable
from typing import Any

from ..base import dtypes
from ..nn.losses_gan import critic_loss, generator_loss, gradient_penalty
from ..optim.optimizer import Optimizer
from ..tensor.gradient import grad
from ..tensor.tensor import Tensor
from .dcgan import GAN, Critic, Generator, dcgan_weights
from .model import whole


class WGAN_GP(GAN):
    """DCGAN's networks; the critic has layer norm, since the penalty belongs to each example alone.

    image_size, channels, latent, width  as DCGAN has them
    penalty  how much the slope counts; the paper's 10

    The critic should learn several times (the paper: 5) for each time that the generator does; the usual
    optimizer is Adam(lr=1e-4, betas=(0.0, 0.9)). Algorithm 1."""

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        latent: int = 64,
        width: int = 32,
        penalty: float = 10.0,
        dtype: Any = dtypes.float32,
    ):
        self.image_size, self.channels, self.latent, self.width = whole(
            self, image_size=image_size, channels=channels, latent=latent, width=width
        )
        self.penalty = float(penalty)
        self.generator = Generator(image_size, channels, latent, width, dtype)
        self.critic = Critic(image_size, channels, width, "layer", dtype)
        dcgan_weights(self)

    def critic_step(self, critic: Optimizer) -> Callable[[Tensor], Tensor]:
        """A function for compile: a batch of real images -> the critic's loss, which it learns from once."""

        def learn(real: Tensor) -> Tensor:
            made = self.generator(self.noise(real.shape[0])).detach()
            loss = critic_loss(self.critic(real), self.critic(made), "wasserstein")
            loss = loss + self.penalty * gradient_penalty(self.critic, real, made)
            critic.step(grad(loss, critic.parameters))
            return loss

        return learn

    def generator_step(self, generator: Optimizer, batch_size: int) -> Callable[[], Tensor]:
        """A function for compile: the generator's loss on batch_size images, which it learns from once."""

        def learn() -> Tensor:
            loss = generator_loss(
                self.critic(self.generator(self.noise(batch_size))), "wasserstein"
            )
            generator.step(grad(loss, generator.parameters))
            return loss

        return learn
