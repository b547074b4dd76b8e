"""A training's length and learning rate are changed with the schedule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from ean_transfer.engine.config import load_config
from ean_transfer.engine.hooks import FreezeNormHook
from ean_transfer.engine.length import set_learning_rate, set_length
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError
from tests.helpers import CONFIGS


def steps_of(cfg: Config, *names: str) -> list[tuple]:
    return [tuple(step.get(name) for name in names) for step in cfg.param_scheduler]


def test_milestones_and_intervals_scale_with_the_epochs() -> None:
    cfg = load_config(CONFIGS / "classification/resnet164_se_cifar10.py")
    set_length(cfg, 20, "epochs")
    assert cfg.train_cfg.max_epochs == 20
    assert steps_of(cfg, "milestones") == [([10, 15],)]  # 81 and 122 of 164
    assert cfg.train_cfg.val_interval == cfg.default_hooks.checkpoint.interval == 1


def test_warm_up_and_decay_scale_with_the_iterations() -> None:
    cfg = load_config(CONFIGS / "segmentation/pspnet_resnet50_d8_sge_voc2012.py")
    before = cfg.train_cfg.max_iters, cfg.train_cfg.val_interval
    assert before == (20_000, 2_000)
    set_length(cfg, 1_000, "iters")
    assert steps_of(cfg, "begin", "end") == [(0, 1_000)]
    assert (cfg.train_cfg.val_interval, cfg.default_hooks.checkpoint.interval) == (100, 100)
    short = load_config(CONFIGS / "segmentation/fcn_resnet20_se_camvid_short.py")
    set_length(short, 3_000, "iters")
    assert steps_of(short, "begin", "end") == [(0, 150), (150, 3_000)]
    assert short.train_cfg.val_interval == 3_000  # only the end, as before
    assert short.default_hooks.checkpoint.interval == 100  # a longer training saves no less often


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (14, [(0, 2, None), (2, 14, 12)]),
        (3, [(0, 1, None), (1, 3, 2)]),
        (2, [(0, 2, 2)]),  # an epoch of warm-up would be half of it
        (1, [(0, 1, 1)]),
    ],
)
def test_epochs_of_warm_up_are_whole_or_left_out(epochs: int, expected: list) -> None:
    cfg = load_config(CONFIGS / "classification/toy.py")
    set_length(cfg, epochs, "epochs")
    assert steps_of(cfg, "begin", "end", "T_max") == expected
    assert cfg.train_cfg.val_interval == epochs


def test_iterations_within_epochs_and_rates_per_epoch_scale_too() -> None:
    cfg = load_config(CONFIGS / "classification/resnet20_se_cifar10_2epochs.py")
    set_length(cfg, 1, "epochs")
    assert steps_of(cfg, "begin", "end") == [(0, 100), (0, 1)]
    cfg = Config(
        dict(
            train_cfg=dict(max_epochs=10, val_begin=5),
            param_scheduler=dict(type="ExponentialLR", gamma=0.5),
        )
    )
    set_length(cfg, 5, "epochs")
    assert cfg.param_scheduler[0].gamma == 0.25 and cfg.train_cfg.val_begin == 2


@pytest.mark.parametrize(
    ("iterations", "begin", "until"), [(200, 100, 20), (6_000, 3_000, 600), (1, 0, 1)]
)
def test_hooks_that_act_in_a_part_of_the_training_keep_their_share(
    iterations: int, begin: int, until: int
) -> None:
    cfg = load_config(CONFIGS / "crowd_counting/resnet20_se_cells_short.py")  # 600 iterations
    cfg.custom_hooks = [
        dict(type=FreezeNormHook, begin=300),
        dict(type="FreezeBackboneHook", until=60),
        dict(type="FreezeBackboneHook", until=None),
        dict(type="EMAHook", begin_iter=300),
    ]
    set_length(cfg, iterations, "iters")
    frozen, *others, average = cfg.custom_hooks
    assert frozen.begin == average.begin_iter == begin < iterations
    assert [hook.until for hook in others] == [until, None]


@given(before=st.integers(1, 300), after=st.integers(1, 300), warm_up=st.integers(0, 300))
def test_a_schedule_has_no_gap_and_ends_with_the_training(
    before: int, after: int, warm_up: int
) -> None:
    warm_up = min(warm_up, before - 1)
    first = [dict(type="LinearLR", begin=0, end=warm_up)] if warm_up else []
    decay = dict(
        type="CosineAnnealingLR", begin=warm_up, end=before, T_max=before - warm_up, by_epoch=True
    )
    cfg = Config(dict(train_cfg=dict(max_epochs=before), param_scheduler=[*first, decay]))
    set_length(cfg, after, "epochs")
    ends = [0]
    for step in cfg.param_scheduler:
        assert step["begin"] == ends[-1] < step["end"]
        length = step["end"] - step["begin"]
        assert step.get("T_max", length) == length
        ends.append(step["end"])
    assert ends[-1] == after


@pytest.mark.parametrize(
    ("name", "unit", "message"),
    [
        ("segmentation/fcn_resnet20_se_camvid_short", "epochs", "max_iters=1000: use --iters"),
        ("classification/toy", "iters", "max_epochs=7: use --epochs"),
        ("study/toy", "epochs", "no train_cfg"),
    ],
)
def test_the_other_unit_is_refused(name: str, unit: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--{unit} 3: .*{message}"):
        set_length(load_config(CONFIGS / f"{name}.py"), 3, unit)


def test_the_lowest_rate_scales_with_the_highest() -> None:
    cfg = load_config(CONFIGS / "segmentation/pspnet_resnet50_d8_sge_voc2012.py")
    assert (cfg.optim_wrapper.optimizer.lr, cfg.param_scheduler[0].eta_min) == (0.01, 1e-4)
    set_learning_rate(cfg, 0.02)
    assert cfg.optim_wrapper.optimizer.lr == 0.02
    assert cfg.param_scheduler[0].eta_min == pytest.approx(2e-4)
    with pytest.raises(ConfigError, match="optim_wrapper.optimizer"):
        set_learning_rate(Config(dict(optim_wrapper=dict(constructor="Mine"))), 0.1)


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_training_of_another_length_ends_with_a_small_rate(toy, tmp_path, epochs: int) -> None:
    cfg = toy("classification/toy")
    cfg.param_scheduler = load_config(CONFIGS / "classification/toy.py").param_scheduler
    cfg.train_cfg.max_epochs = 7
    set_length(cfg, epochs, "epochs")
    runner = train(cfg, tmp_path)
    assert runner.epoch == epochs and runner.optim_wrapper.get_lr()["lr"][0] < 0.02
