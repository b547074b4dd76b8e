"""How long a training takes, by a few of its iterations."""

from __future__ import annotations

from ean_transfer.engine.timing import TIMED, time_iterations


def test_a_training_in_epochs_and_one_in_iterations(toy) -> None:
    cfg = toy("classification/toy")
    cfg.train_cfg.max_epochs = 3
    before = cfg.to_dict()
    pace = time_iterations(cfg)
    assert cfg.to_dict() == before
    assert pace.iterations == 3 * 64 // 16 > TIMED
    assert pace.whole == pace.seconds * pace.iterations > 0
    cfg.train_cfg = dict(by_epoch=False, max_iters=12_345, val_interval=100)
    assert time_iterations(cfg).iterations == 12_345
