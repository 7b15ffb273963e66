"""A ring of eight Gaussians, learned by a Wasserstein GAN with gradient penalty: seven modes or more.

The ring of radius 2 and deviation 0.02 of Metz et al. (2017), section 3.1; the networks and settings of Gulrajani
et al. (2017) for such toys, smaller. A sample belongs to a mode within three deviations of its centre; a mode
is found when it has at least 1 % of 2,500 samples."""

import numpy as np
from common import Run

from pellucid import compile, grad, nn, optim, random

N_MODES, RADIUS, DEVIATION = 8, 2.0, 0.02
SIZE, N_CRITIC, LATENT, WIDTH, PENALTY = 256, 5, 16, 128, 0.1


def centres() -> np.ndarray:
    angle = 2 * np.pi * np.arange(N_MODES) / N_MODES
    return RADIUS * np.stack([np.cos(angle), np.sin(angle)], -1)


def ring(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Points (.., 2) of the mixture."""
    modes = centres()[rng.integers(0, N_MODES, shape)]
    return (modes + DEVIATION * rng.standard_normal((*shape, 2))).astype(np.float32)


def network(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(n_in, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, n_out),
    )


def main() -> None:
    run = Run(__doc__)
    n_rounds, peak = (20 if run.quick else 12_000), 5e-4
    generator, critic = network(LATENT, 2), network(2, 1)
    g_parameters, d_parameters = list(generator.parameters()), list(critic.parameters())
    g_opt, d_opt = (
        optim.Adam(parameters, lr=optim.Linear(peak, n_steps), betas=(0.5, 0.9))
        for parameters, n_steps in ((g_parameters, n_rounds), (d_parameters, n_rounds * N_CRITIC))
    )

    @compile
    def step(real):
        """N_CRITIC steps of the critic, then one of the generator; real (N_CRITIC, SIZE, 2)."""
        for i in range(N_CRITIC):
            made = generator(random.normal(SIZE, LATENT)).detach()
            loss = nn.critic_loss(critic(real[i]), critic(made), "wasserstein")
            loss = loss + PENALTY * nn.gradient_penalty(critic, real[i], made)
            d_opt.step(grad(loss, d_parameters))
        loss = nn.generator_loss(critic(generator(random.normal(SIZE, LATENT))), "wasserstein")
        g_opt.step(grad(loss, g_parameters))
        return loss

    def modes() -> tuple[int, float]:
        """Modes found, and the share of samples that belong to one."""
        noise = run.rng.standard_normal((2500, LATENT), np.float32)
        points = make(noise).numpy()
        distance = np.linalg.norm(points[:, None] - centres(), axis=-1)
        near = distance.min(-1) < 3 * DEVIATION
        counts = np.bincount(distance.argmin(-1)[near], minlength=N_MODES)
        return int((counts >= len(points) // 100).sum()), float(near.mean())

    make = compile(generator)
    each = min(200, n_rounds)
    for done in range(0, n_rounds, each):
        step.many(each, ring(run.rng, each, N_CRITIC, SIZE))
        if done % 2000 == 0:
            run.log("round {}: {} modes, {:.2f} of the samples".format(done + each, *modes()))
    n_found, share = modes()
    figure = f"{n_found} of {N_MODES} modes, {100 * share:.0f} % of the samples on one"
    run.result(figure, n_found >= 7, ">= 7 modes")


if __name__ == "__main__":
    main()
