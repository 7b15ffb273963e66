"""tinyshakespeare by a GPT with nanoGPT's settings for a CPU: at most 1.88 nats a symbol on the last tenth.

4 layers, 4 heads, 128 features, 64 symbols at a time, 12 of them in a batch, 2,000 steps: the second
example of nanoGPT's README, whose figure is the bar. Its rate is 1e-3 (--rate 1e-3); so few steps learn more
from a higher one."""

import numpy as np
from common import Run

from pellucid import compile, grad, nn, optim
from pellucid.models import GPT

N_STEPS, N_WARM, BATCH, BLOCK = 2000, 100, 12, 64


def main() -> None:
    run = Run(__doc__, ("--rate", {"type": float, "default": 3e-3}))
    peak = run.args.rate
    text = (run.data / "tinyshakespeare" / "input.txt").read_text("utf-8")
    symbols, ids = np.unique(list(text), return_inverse=True)
    ids = ids.astype(np.int32)
    cut = len(ids) * 9 // 10
    learned, held = ids[:cut], ids[cut:]
    n_steps = 50 if run.quick else N_STEPS

    model = GPT(len(symbols), BLOCK, n_embd=128, n_layer=4, n_head=4, dropout=0.0, bias=False)
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    falling = optim.Cosine(peak, max(1, n_steps - N_WARM), minimum=peak / 10)
    rate = optim.WarmUp(falling, N_WARM)
    opt = optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), clip_norm=1.0)

    def loss_of(x, y):
        return nn.cross_entropy(model(x), y)

    @compile
    def step(x, y):
        loss = loss_of(x, y)
        opt.step(grad(loss, opt.parameters))
        return loss

    each = 10
    for done in range(0, n_steps, each):
        at = run.rng.integers(0, len(learned) - BLOCK, (each, BATCH, 1)) + np.arange(BLOCK)
        loss = step.many(each, learned[at], learned[at + 1])
        if done % 200 == 0:
            run.log(f"step {done + each}: {loss.item():.3f} nats")

    # The whole held text, block by block: every symbol but the first is predicted once.
    n = (len(held) - 1) // BLOCK
    x, y = (held[i : i + n * BLOCK].reshape(n, BLOCK) for i in (0, 1))
    if run.quick:
        x, y = x[:48], y[:48]
    evaluate = compile(loss_of)
    losses = [
        evaluate(x[i : i + BATCH], y[i : i + BATCH]).item() for i in range(0, len(x) - 11, BATCH)
    ]
    found = float(np.mean(losses))
    run.result(f"{found:.3f} nats a symbol on the held text", found <= 1.88, "<= 1.88")


if __name__ == "__main__":
    main()
