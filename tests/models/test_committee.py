"""A committee is its members side by side: each is compared with an MLP of its weights, in values and gradients."""

import numpy as np
import pytest

from pellucid import grad, models, nn
from pellucid.base.errors import OptionError, ShapeError
from pellucid.tensor import random
from pellucid.tensor.tensor import Tensor
from pellucid.train.objectives import OBJECTIVES

RNG = np.random.default_rng(0)
SIZES, K = (5, 7, 3), 4


def floats(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def made(answers="chances", **options):
    random.seed(2)
    return models.Committee(SIZES, K, "gelu", answers=answers, **options)


def members(committee):
    """MLPs with the committee's weights."""
    state = committee.state_dict()
    found = []
    for k in range(committee.n_members):
        mlp = models.MLP(committee.sizes, committee.activation)
        names = {"layers.0": "layers.0", "layers.2": "layers.3"}  # a dropout stands between them
        mlp.load_state_dict(
            {
                f"{own}.{what}": state[f"{theirs}.{what}"][k].reshape(
                    (-1,) if what == "bias" else state[f"{theirs}.{what}"][k].shape
                )
                for own, theirs in names.items()
                for what in ("weight", "bias")
            }
        )
        found.append(mlp)
    return found


def test_in_training_every_member_answers_as_an_mlp_of_its_weights():
    committee, x = made(), Tensor(floats(11, 5))
    out = committee(x).numpy()
    assert out.shape == (K, 11, 3)
    for mine, mlp in zip(out, members(committee), strict=True):
        # 1e-6: sums of 5 and 7 products of numbers near 1, in another order
        assert np.allclose(mine, mlp(x).numpy(), rtol=1e-5, atol=1e-6)


def test_the_answer_is_the_mean_of_the_probabilities():
    committee, x = made().eval(), Tensor(floats(11, 5))
    each = [m(x).numpy().astype(np.float64) for m in members(committee)]
    chances = [np.exp(z) / np.exp(z).sum(1, keepdims=True) for z in each]
    assert np.allclose(np.exp(committee(x).numpy()), np.mean(chances, 0), rtol=1e-5)
    assert np.allclose(nn.Softmax()(committee(x)).numpy(), np.mean(chances, 0), rtol=1e-5)


def test_the_answer_is_the_mean_of_the_amounts():
    committee, x = made("amounts").eval(), Tensor(floats(11, 5))
    each = [m(x).numpy() for m in members(committee)]
    assert np.allclose(committee(x).numpy(), np.mean(each, 0), rtol=1e-5, atol=1e-6)


def test_sure_members_leave_a_finite_logarithm():
    committee = made().eval()
    for p in committee.parameters():
        p.assign(p * 1e3)
    assert np.isfinite(committee(Tensor(floats(11, 5))).numpy()).all()


@pytest.mark.parametrize("task", ["classes", "amounts"])
def test_each_member_learns_by_its_own_loss(task):
    """The loss is the mean of the members', so that a member's gradient is its own, over K."""
    sizes = SIZES if task == "classes" else (5, 7, 1)
    random.seed(2)
    committee = models.Committee(sizes, K, "gelu", answers="chances" if task == "classes" else task)
    x = Tensor(floats(11, 5))
    y = Tensor(RNG.integers(0, 3, 11) if task == "classes" else floats(11))
    objective = OBJECTIVES["cross_entropy" if task == "classes" else "mse"]
    assert objective.each is not None
    each = objective.each(committee, x, y)
    assert each.shape == (11,)
    parameters = list(committee.parameters())
    found = [g.numpy() for g in grad(each.mean(), parameters)]
    losses = []
    for k, mlp in enumerate(members(committee)):
        out = mlp(x)
        loss = nn.cross_entropy(out, y) if task == "classes" else nn.mse_loss(out.reshape(11), y)
        losses.append(loss.item())
        for mine, own in zip(found, grad(loss, list(mlp.parameters())), strict=True):
            want = own.numpy() / K
            # 1e-6: mean gradients of 11 rows are below 1, and as in the values
            assert np.allclose(mine[k].reshape(want.shape), want, rtol=1e-4, atol=1e-6)
    assert np.isclose(each.mean().item(), np.mean(losses), rtol=1e-5)


def test_members_begin_with_weights_of_their_own():
    weight = made().state_dict()["layers.0.weight"]
    assert len(np.unique(weight[:, 0, 0])) == K


def test_dropout_drops_other_values_of_each_member():
    random.seed(3)
    committee = models.Committee((5, 64, 3), 2, dropout=0.5)
    state = committee.state_dict()
    committee.load_state_dict({n: np.repeat(v[:1], 2, 0) for n, v in state.items()})
    first, second = committee(Tensor(floats(4, 5))).numpy()
    assert not np.allclose(first, second)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"rows of 5 numbers"):
        made()(Tensor(floats(3, 6)))
    with pytest.raises(OptionError, match="chances"):
        made("chance")
    with pytest.raises(OptionError, match="gradient 0"):
        models.Committee(SIZES, K, "step")
