"""VAE: an autoencoder whose code is a normal distribution, so that new examples can be drawn.

Kingma and Welling (2014), Auto-encoding variational Bayes; Rezende et al. (2014)"""

from collections.abc import Sequence
from math import prod
from typing import Any

from ..base import dtypes
from ..nn.losses import binary_cross_entropy_with_logits
from ..nn.losses_gan import gaussian_kl
from ..tensor import functions as F
from ..tensor import random
from ..tensor.tensor import Tensor, as_tensor
from .autoencoder import check_shape
from .mlp import MLP
from .model import Model, whole, wholes


class VAE(Model):
    """x -> a normal distribution of codes -> one code -> x again.

    shape    sizes of one example, like (28, 28, 1)
    hidden   widths between the input and the code; the decoder has them backwards
    code     how many numbers the code has
    x        (B, *shape), values from 0 to 1: brightness is the chance of a white pixel
    returns  (logits of x again (B, *shape), mean (B, code), log variance (B, code)); in evaluation mode
             the code is the mean, else it is drawn"""

    def __init__(
        self,
        shape: Sequence[int] = (28, 28, 1),
        hidden: Sequence[int] = (256,),
        code: int = 16,
        activation: str = "relu",
        dtype: Any = dtypes.float32,
    ):
        [self.shape] = wholes(self, shape=shape)
        [self.hidden] = wholes(self, at_least=0, hidden=hidden)
        [self.code] = whole(self, code=code)
        self.activation = activation
        n = prod(self.shape)
        self.encoder = MLP((n, *self.hidden, 2 * self.code), activation, dtype=dtype)
        self.decoder = MLP((self.code, *self.hidden[::-1], n), activation, dtype=dtype)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the code, (B, code) each."""
        x = as_tensor(x)
        check_shape("VAE", x, self.shape)
        mean, log_variance = F.split(self.encoder(x), self.code, -1)
        return mean, log_variance

    def decode(self, code: Tensor) -> Tensor:
        """Logits of what the code stands for, (B, *shape)."""
        return self.decoder(code).reshape(code.shape[0], *self.shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(x)
        code = mean
        if self.training:
            # Drawn as mean + std * noise, gradients reach mean and std (section 2.4).
            noise = random.normal(*mean.shape, dtype=mean.dtype)
            code = mean + (0.5 * log_variance).exp() * noise
        return self.decode(code), mean, log_variance

    def loss(self, x: Tensor) -> Tensor:
        """Minus the lower bound of log p(x), in nats for each example (eq. 10): how badly x came back, and
        how far its codes are from N(0, 1)."""
        logits, mean, log_variance = self(x)
        back = binary_cross_entropy_with_logits(logits, x, reduction="sum") / x.shape[0]
        return back + gaussian_kl(mean, log_variance)

    def sample(self, n: int) -> Tensor:
        """n new examples, values from 0 to 1: (n, *shape)."""
        dtype = self.decoder.layers[0].weight.dtype
        return self.decode(random.normal(n, self.code, dtype=dtype)).sigmoid()
