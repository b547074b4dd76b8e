"""The counter: losses, padding, heads, necks, and what does not fit together."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmseg.models.necks import FPN
from torch import nn

from ean_transfer.crowd_counting import (
    BayesianLoss,
    CountingMetric,
    CountingPreprocessor,
    CountL1,
    DensityCounter,
    DensityHead,
    DensityMap,
    DensityMSE,
    DMCountLoss,
    PackCountingInputs,
)
from ean_transfer.errors import ConfigError


class TinyBackbone(nn.Module):
    """Two stages, strides 2 and 4."""

    def __init__(self, width=8):
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)

    def forward(self, x):
        x = self.first(x).relu()
        return x, self.second(x).relu()


class SpotDataset(BaseDataset):
    """White spots on black, made in memory, one point per spot."""

    def __init__(self, images=6, **kwargs):
        self.images = images
        super().__init__(**kwargs)

    def load_data_list(self):
        generator = np.random.default_rng(0)
        data = []
        for number in range(self.images):
            points = generator.integers(2, 30, (number, 2)).astype(np.float32)
            image = np.zeros((32, 32, 3), np.uint8)
            for x, y in points.astype(int):
                image[y - 1 : y + 2, x - 1 : x + 2] = 255
            data.append({"img": image, "points": points})
        return data


PIPELINE = [dict(type=DensityMap, stride=4, sigma=2.0), dict(type=PackCountingInputs)]


def counter(**changes):
    config = dict(
        type=DensityCounter,
        data_preprocessor=dict(
            type=CountingPreprocessor, mean=[127.5] * 3, std=[127.5] * 3, pad_size_divisor=4
        ),
        backbone=TinyBackbone(),
        head=dict(type=DensityHead, in_channels=16, channels=8, in_index=1, stride=4),
    )
    return MODELS.build(config | changes)


def batch(*indices):
    dataset = SpotDataset(pipeline=PIPELINE)
    return pseudo_collate([dataset[index] for index in indices])


def uneven_batch(sizes=((32, 32), (21, 30)), stride=4):
    pipeline = [DensityMap(stride, 2.0), PackCountingInputs()]
    items = []
    for height, width in sizes:
        image = np.zeros((height, width, 3), np.uint8)
        item = {"img": image, "points": np.array([(width, height)])}
        for transform in pipeline:
            item = transform(item)
        items.append(item)
    return pseudo_collate(items)


def test_training_steps_reduce_the_loss():
    torch.manual_seed(0)
    model = counter()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    data = model.data_preprocessor(batch(2, 4, 5), training=True)
    losses = []
    for _ in range(30):
        loss = model(**data, mode="loss")["loss_density"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_loss_is_the_mean_square_of_the_scaled_difference():
    model = counter(density_factor=10)
    data = model.data_preprocessor(batch(3, 5), training=True)
    maps = model(data["inputs"])
    truth = torch.stack([sample.gt_density for sample in data["data_samples"]])[:, None]
    expected = ((10 * maps - 10 * truth) ** 2).mean()
    torch.testing.assert_close(model(**data, mode="loss")["loss_density"], expected)


def test_padding_is_zero_density_in_training_and_cut_off_in_prediction():
    model = counter()
    data = model.data_preprocessor(uneven_batch(), training=True)
    assert data["data_samples"][1].batch_input_shape == (32, 32)
    with torch.no_grad():
        samples = model.val_step(uneven_batch())
        maps = model(data["inputs"])
        losses = [
            model(**model.data_preprocessor(uneven_batch(), training), mode="loss")["loss_density"]
            for training in (True, False)  # the second in validation
        ]
    truth = torch.zeros(2, 1, 8, 8)
    for cells, sample in zip(truth[:, 0], data["data_samples"], strict=True):
        rows, columns = sample.gt_density.shape
        cells[:rows, :columns] = sample.gt_density
    assert rows < 8 and truth.sum() == pytest.approx(2)
    expected = ((100 * maps - 100 * truth) ** 2).mean()
    torch.testing.assert_close(torch.stack(losses), expected.repeat(2))
    assert samples[1].pred_density.shape == (6, 8)  # ceil(21 / 4), ceil(30 / 4)
    assert samples[1].pred_count == pytest.approx(float(maps[1, 0, :6].sum()), rel=1e-5)
    assert samples[1].gt_count == 1


def test_density_is_never_negative_and_the_head_upsamples():
    model = counter(
        head=dict(type=DensityHead, in_channels=16, in_index=1, upsample=2, stride=2),
    )
    maps = model(torch.randn(2, 3, 32, 48))
    assert maps.shape == (2, 1, 16, 24)
    assert maps.min() >= 0


def test_predict_needs_no_samples():
    samples = counter()(torch.zeros(2, 3, 16, 16), mode="predict")
    assert [sample.pred_density.shape for sample in samples] == [(4, 4)] * 2
    assert [sample.pred_stride for sample in samples] == [4, 4]


def test_target_of_another_stride_or_none_is_refused():
    model = counter()
    for stride in (8, None):
        data = model.data_preprocessor(uneven_batch(stride=stride or 4), training=True)
        if stride is None:
            del data["data_samples"][0].gt_density
        with pytest.raises(ConfigError, match=r"stride 4 .* 2 .*DensityMap\(stride=4\)"):
            model(**data, mode="loss")


def test_head_that_does_not_fit_the_backbone_is_refused():
    model = counter(head=dict(type=DensityHead, in_channels=16, in_index=1, stride=8))
    with pytest.raises(ConfigError, match="4x4 cells .* stride 8 .*found 8x8"):
        model(torch.zeros(1, 3, 32, 32))


def test_several_losses_are_added_up_and_see_objects_whatever_the_factor():
    losses = [dict(type=DensityMSE, density_factor=1.0), dict(type=CountL1, loss_weight=0.1)]
    model = counter(density_factor=50, losses=[*losses, dict(type=CountL1, loss_weight=0.2)])
    data = model.data_preprocessor(batch(3, 5), training=True)
    terms = model(**data, mode="loss")
    maps = model(data["inputs"])
    count = (maps.sum(dim=(1, 2, 3)) - torch.tensor([3.0, 5.0])).abs().mean()
    assert set(terms) == {"loss_density", "loss_count"}
    torch.testing.assert_close(terms["loss_count"], 0.3 * count)
    parsed, _ = model.parse_losses(terms)
    torch.testing.assert_close(parsed, sum(terms.values()))


def test_losses_of_points_need_no_target_map():
    model = counter(losses=dict(type=BayesianLoss), density_factor=1.0)
    data = model.data_preprocessor(batch(3, 5), training=True)
    for sample in data["data_samples"]:
        del sample.gt_density
    model(**data, mode="loss")["loss_bayesian"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("kind", [DensityMSE, BayesianLoss, DMCountLoss])
def test_losses_are_computed_in_full_precision_under_autocast(kind):
    model = counter(losses=dict(type=kind))
    data = model.data_preprocessor(batch(3, 5), training=True)
    with torch.autocast("cpu", torch.bfloat16):
        terms = model(**data, mode="loss")
    assert {term.dtype for term in terms.values()} == {torch.float32}
    sum(terms.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("channels", [(), 8, (16, 8)])
def test_heads_from_one_convolution_to_a_dilated_back_end(channels):
    head = DensityHead(in_channels=16, channels=channels, dilation=2, in_index=1, stride=4)
    convolutions = [module for module in head.modules() if isinstance(module, nn.Conv2d)]
    widths = (channels,) if isinstance(channels, int) else channels
    assert [convolution.out_channels for convolution in convolutions] == [*widths, 1]
    assert [c.dilation for c in convolutions] == [(2, 2)] * len(widths) + [(1, 1)]
    assert counter(head=head)(torch.randn(1, 3, 16, 24)).shape == (1, 1, 4, 6)


def test_a_new_head_predicts_about_the_density_that_it_is_told():
    head = DensityHead(in_channels=16, in_index=0, initial=0.03)
    empty = head([torch.zeros(1, 16, 8, 8)])
    assert 0.02 < empty.mean() < 0.045  # but for what random weights add
    assert DensityHead(in_channels=16, in_index=0)([torch.zeros(1, 16, 8, 8)]).mean() > 0.4


@pytest.mark.parametrize("name", ["upsample", "dilation", "channels", "stride", "initial"])
def test_head_refuses_numbers_that_are_not_positive(name):
    with pytest.raises(ConfigError, match=f"DensityHead: {name}.* found 0"):
        DensityHead(in_channels=4, **{name: 0})


def test_neck_fuses_stages_for_the_head():
    neck = FPN(in_channels=[8, 16], out_channels=12, num_outs=2)
    head = dict(type=DensityHead, in_channels=12, in_index=0, stride=2)
    model = counter(neck=neck, head=head)
    maps = model(torch.randn(1, 3, 16, 24))
    assert maps.shape == (1, 1, 8, 12)
    maps.sum().backward()
    assert model.backbone.second.weight.grad.abs().sum() > 0  # the deeper stage counts too


@pytest.mark.parametrize(("in_index", "says"), [(1, ["stage 2 of 3"]), (2, [])])
def test_unused_bits_of_a_ticket_are_logged(monkeypatch, in_index, says):
    lines = []
    monkeypatch.setattr(
        "ean_transfer.crowd_counting.model.print_log", lambda line, **_: lines.append(line)
    )
    backbone = TinyBackbone()
    backbone.out_indices = (0, 1, 2)
    backbone.ticket = SimpleNamespace(stages=("10", "01", "011"))
    head = dict(type=DensityHead, in_channels=16, in_index=in_index, stride=4)
    counter(backbone=backbone, head=head)
    assert len(lines) == len(says)
    assert all(words in line and "(011)" in line for words, line in zip(says, lines, strict=True))


def test_runner_trains_and_evaluates(tmp_path):
    def loader(shuffle):
        return dict(
            batch_size=2,
            num_workers=0,
            dataset=dict(type=SpotDataset, pipeline=PIPELINE),
            sampler=dict(type="DefaultSampler", shuffle=shuffle),
        )

    runner = Runner(
        model=counter(),
        work_dir=str(tmp_path),
        train_dataloader=loader(True),
        val_dataloader=loader(False),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        val_cfg=dict(),
        val_evaluator=dict(type=CountingMetric),
        optim_wrapper=dict(optimizer=dict(type="Adam", lr=1e-3)),
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", save_best="MAE", rule="less")),
        randomness=dict(seed=0),
        default_scope=None,
        experiment_name="counting",
    )
    runner.train()
    assert list(tmp_path.glob("best_MAE_*.pth"))
    metrics = runner.val_loop.run()
    assert 0 < metrics["MAE"] <= metrics["RMSE"]
