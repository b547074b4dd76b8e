"""Losses against their formulas, brute force and finite differences."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from scipy.optimize import linprog

from ean_transfer.crowd_counting import (
    BayesianLoss,
    CountingDataSample,
    CountL1,
    DensityMSE,
    DMCountLoss,
)
from ean_transfer.crowd_counting.losses import sinkhorn
from ean_transfer.errors import ConfigError


def sample(points, size, **fields):
    points = torch.tensor(points, dtype=torch.float64).reshape(-1, 2)
    return CountingDataSample(metainfo={"img_shape": size}, gt_points=points, **fields)


def some_density(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    density = torch.rand(*shape, generator=generator, dtype=torch.float64)
    return density.requires_grad_()


def cell_centres(rows, columns, stride):
    """(x, y) of each cell, row by row."""
    return [
        ((column + 0.5) * stride - 0.5, (row + 0.5) * stride - 0.5)
        for row in range(rows)
        for column in range(columns)
    ]


def test_density_mse_is_the_mean_square_of_the_scaled_difference():
    density = some_density(2, 1, 2, 3)
    targets = some_density(2, 2, 3, seed=1).detach()
    samples = [
        CountingDataSample(metainfo={"density_stride": 8}, gt_density=target) for target in targets
    ]
    loss = DensityMSE(density_factor=10, loss_weight=0.5)(density, samples, 8)
    expected = 0.5 * 100 * ((density[:, 0] - targets) ** 2).sum() / 12
    torch.testing.assert_close(loss, {"loss_density": expected})


def test_count_l1_is_the_mean_absolute_error_of_the_counts_without_padding():
    density = torch.ones(2, 1, 4, 4, dtype=torch.float64)
    # 16 against 3, and of the second image 2 x 3 cells (rows beyond 16 px are padding) against 8.
    samples = [sample([(1, 1)] * 3, (32, 32)), sample([(1, 1)] * 8, (16, 24))]
    loss = CountL1(loss_weight=2)(density, samples, 8)["loss_count"]
    assert loss.item() == pytest.approx(2 * (13 + 2) / 2)


@pytest.mark.parametrize("background", [0.15, None])
def test_bayesian_loss_against_its_formula_cell_by_cell(background):
    points, stride, sigma = [(3.0, 4.0), (13.0, 9.5), (20.0, 1.0)], 4, 8.0
    rows, columns = 4, 6
    density = some_density(1, 1, rows, columns)
    expected_counts = [0.0] * (len(points) + (background is not None))
    for value, (x, y) in zip(
        density.flatten().tolist(), cell_centres(rows, columns, stride), strict=True
    ):
        distances = [math.hypot(x - px, y - py) for px, py in points]
        if background is not None:
            distances.append(abs(background * min(rows, columns) * stride - min(distances)))
        likelihoods = [math.exp(-(d**2) / (2 * sigma**2)) for d in distances]
        for n, likelihood in enumerate(likelihoods):
            expected_counts[n] += value * likelihood / sum(likelihoods)
    expected = sum(abs(1 - count) for count in expected_counts[: len(points)])
    expected += sum(expected_counts[len(points) :])

    loss = BayesianLoss(sigma, background)
    value = loss(density, [sample(points, (16, 24))], stride)["loss_bayesian"]
    assert value.item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(
        lambda x: loss(x, [sample(points, (16, 24))], stride)["loss_bayesian"], density
    )


def test_bayesian_loss_of_an_empty_image_is_its_count():
    density = some_density(1, 1, 4, 4)
    value = BayesianLoss()(density, [sample([], (32, 32))], 8)["loss_bayesian"]
    assert value.item() == pytest.approx(density.sum().item())


def test_bayesian_loss_vanishes_where_every_person_is_counted_once():
    # Two people far apart, each with a density of one in their own cell.
    density = torch.zeros(1, 1, 8, 64, dtype=torch.float64)
    density[0, 0, 3, 8] = density[0, 0, 3, 52] = 1
    points = [((c + 0.5) * 8 - 0.5, 3.5 * 8 - 0.5) for c in (8, 52)]
    truth = sample(points, (64, 512))
    assert BayesianLoss(background=None)(density, [truth], 8)["loss_bayesian"] < 1e-12
    # With a background, d = 9.6 px away with a sigma of 8, some of each person is taken for it.
    share = 1 / (1 + math.exp(9.6**2 / (2 * 8**2)))
    value = BayesianLoss()(density, [truth], 8)["loss_bayesian"].item()
    assert value == pytest.approx(4 * share)


def test_sinkhorn_finds_the_cost_of_the_best_assignment():
    generator = torch.Generator().manual_seed(0)
    costs = torch.rand(5, 5, generator=generator, dtype=torch.float64)
    best = min(
        sum(costs[i, j].item() for i, j in enumerate(order)) / 5
        for order in itertools.permutations(range(5))
    )
    share = torch.full((5,), 0.2, dtype=torch.float64)
    f, g = sinkhorn(costs, share, share, regularisation=0.005, iterations=2000)
    assert (share @ f + share @ g).item() == pytest.approx(best, abs=0.005 * math.log(25))
    plan = 0.04 * torch.exp((f[:, None] + g - costs) / 0.005)
    torch.testing.assert_close(plan.sum(dim=0), share)
    torch.testing.assert_close(plan.sum(dim=1), share, rtol=1e-3, atol=0)
    assert (plan * costs).sum().item() == pytest.approx(best, abs=1e-3)


def transport_cost(costs, source, target):
    """Of the best plan, by linear programming over all plans."""
    n, m = costs.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    solution = linprog(
        costs.flatten(), A_eq=np.vstack((rows, columns)), b_eq=np.concatenate((source, target))
    )
    return solution.fun


def test_dm_count_against_a_brute_force_transport_plan():
    points, stride, rows, columns = [(1.0, 2.0), (6.0, 6.0), (11.0, 0.0)], 4, 2, 3
    density = some_density(1, 1, rows, columns)
    cells = np.array(cell_centres(rows, columns, stride))
    costs = ((np.array(points)[:, None] - cells) ** 2).sum(axis=2)
    values = density.detach().numpy().flatten()
    transport = transport_cost(costs, np.full(3, 1 / 3), values / values.sum())
    truth = np.array([1, 0, 1, 0, 1, 0]) / 3  # the points' cells
    variation = 3 * 0.5 * np.abs(values / values.sum() - truth).sum()

    loss = DMCountLoss(farthest=None, regularisation=0.02, iterations=3000)
    terms = loss(density, [sample(points, (8, 12))], stride)
    assert terms["loss_count"].item() == pytest.approx(abs(values.sum() - 3))
    assert terms["loss_transport"].item() == pytest.approx(0.1 * transport, rel=0.01)
    assert terms["loss_variation"].item() == pytest.approx(0.01 * variation)


def test_gradient_of_the_transport_is_that_of_its_cost():
    points, stride = [(1.0, 2.0), (6.0, 6.0)], 4
    density = some_density(1, 1, 2, 3)
    cells = np.array(cell_centres(2, 3, stride))
    costs = torch.tensor(((np.array(points)[:, None] - cells) ** 2).sum(axis=2))

    def regularised_cost(values):
        """The optimum itself, as a function of the density: what the loss stands for."""
        share = values / values.sum()
        point_share = torch.full((2,), 0.5, dtype=torch.float64)
        f, g = sinkhorn(costs, point_share, share, 10.0, 500)
        return (point_share @ f + share @ g).item()

    loss = DMCountLoss(transport_weight=1, farthest=None, regularisation=10.0, iterations=500)
    loss(density, [sample(points, (8, 12))], stride)["loss_transport"].backward()
    values = density.detach().flatten()
    for cell in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[cell] = 1e-5
        slope = (regularised_cost(values + step) - regularised_cost(values - step)) / 2e-5
        assert density.grad.flatten()[cell].item() == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_dm_count_of_an_empty_image_is_its_count():
    density = some_density(1, 1, 4, 4)
    terms = DMCountLoss()(density, [sample([], (32, 32))], 8)
    assert terms["loss_count"].item() == pytest.approx(density.sum().item())
    assert terms["loss_transport"] == terms["loss_variation"] == 0
    sum(terms.values()).backward()
    torch.testing.assert_close(density.grad, torch.ones_like(density))


@pytest.mark.parametrize("kind", [BayesianLoss, DMCountLoss, CountL1])
def test_losses_of_points_stay_finite_and_lead_to_the_points(kind):
    """Descent on the density itself: a crop of a photograph's size, in float32, empty at first."""
    torch.manual_seed(0)
    points = [(100.0, 40.0), (100.0, 40.0), (255.5, 200.0), (0.0, 0.0)]
    truth = sample(points, (256, 256))
    scores = torch.full((1, 1, 32, 32), -9.0, requires_grad=True)
    optimiser = torch.optim.Adam([scores], lr=0.1)
    loss = kind()
    values = []
    for _ in range(50):
        density = torch.nn.functional.softplus(scores)
        value = sum(loss(density, [truth], 8).values())
        values.append(value.item())
        assert math.isfinite(values[-1])
        optimiser.zero_grad()
        value.backward()
        assert scores.grad.isfinite().all()
        optimiser.step()
    assert values[-1] < 0.9 * values[0]
    if kind is not CountL1:
        near = density[0, 0, 4:7, 11:14].mean()
        assert near > 2 * density.mean()


@pytest.mark.parametrize(
    "wrong",
    [
        dict(type=BayesianLoss, sigma=0),
        dict(type=BayesianLoss, background=0.0),
        dict(type=DMCountLoss, regularisation=0),
        dict(type=DMCountLoss, iterations=0),
    ],
)
def test_values_that_are_not_positive_are_refused(wrong):
    kind, (name, value) = wrong["type"].__name__, list(wrong.items())[1]
    with pytest.raises(ConfigError, match=f"{kind}: {name}: .* found {value}"):
        MODELS.build(wrong)


def test_losses_of_points_refuse_images_without_labels():
    unlabelled = CountingDataSample(metainfo={"img_shape": (8, 8)})
    with pytest.raises(ConfigError, match="an image without labels"):
        CountL1()(torch.zeros(1, 1, 1, 1), [unlabelled], 8)


def test_transport_of_a_sparse_crop_does_not_drown_the_count():
    """Five people in a corner of a 512 px crop, a density spread evenly over all of it."""
    density = torch.full((1, 1, 64, 64), 5 / 4096, dtype=torch.float64, requires_grad=True)
    truth = sample([(10.0 * i, 20.0) for i in range(5)], (512, 512))
    slopes = {}
    for farthest in (20.0, None):
        terms = DMCountLoss(farthest=farthest)(density, [truth], 8)
        (gradient,) = torch.autograd.grad(terms["loss_transport"], density)
        slopes[farthest] = gradient.abs().mean().item()
    assert slopes[20.0] < 10  # the count's slope is 1
    assert slopes[None] > 100 * slopes[20.0]
