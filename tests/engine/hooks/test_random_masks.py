"""Random masks in the training of a supernet."""

from __future__ import annotations

from types import SimpleNamespace

from mmengine.registry import MODELS

from ean_transfer.engine.hooks.random_masks import RandomMaskHook


def test_the_hook_sets_one_mask_per_iteration_whatever_came_before(toy) -> None:
    model = MODELS.build(toy("classification/toy_supernet").model)
    hook = RandomMaskHook()
    hook.before_train(SimpleNamespace(model=model, seed=7))
    seen = []
    for iteration in (0, 1, 2, 1):  # a resumed training repeats an iteration
        hook.before_train_iter(SimpleNamespace(model=model, iter=iteration, seed=7), 0)
        seen.append(model.backbone.mask)
    assert seen[1] == seen[3] and len(set(seen)) == 3
    hook.after_train(SimpleNamespace(model=model))
    assert model.backbone.mask == (True,) * 6
