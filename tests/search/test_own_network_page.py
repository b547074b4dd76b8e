"""docs/own_network.md: its example of a detector runs, on a toy data set."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ean_transfer import evaluate_masks
from tests.helpers import ROOT

PAGE = (ROOT / "docs" / "own_network.md").read_text(encoding="utf-8")


class Boxes(Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(index)
        corners = torch.randint(0, 30, (2, 2), generator=generator).float()
        boxes = {"boxes": torch.cat([corners, corners + 24], 1), "labels": torch.tensor([1, 2])}
        return torch.rand(3, 64, 64, generator=generator), boxes


@pytest.mark.slow
def test_a_ticket_of_a_detector() -> None:
    section = PAGE.split("\n## Detectors\n")[1]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    small = "weights=None, weights_backbone=None, num_classes=3, min_size=64, max_size=64"
    code = code.replace('weights="DEFAULT"', small).replace("score=", "masks=4, epochs=1, score=")
    names: dict[str, Any] = {"train_set": Boxes(), "val_set": Boxes()}
    torch.manual_seed(0)
    exec(code, names)
    detector: Any = names["detector"]
    supernet = names["result"].supernet
    assert detector.ticket == names["result"].ticket
    assert str(supernet.ticket) == "1 1 11 111 1 11"

    # Masks that share work have the losses of each alone, one per image.
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in supernet.named_parameters():
            if "attention" in name or "rpn" in name:  # or else attention changes next to nothing
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    masks = [(True,) * 10, (False,) * 10, (False,) * 5 + (True,) * 5]

    def losses(*masks: Any) -> list[Any]:
        batches, scorer = list(names["val_loader"]), names["LossPerImage"]()
        outcomes = evaluate_masks(supernet, batches, masks, scorer, bn="recalibrated")
        return [outcomes[mask].loss for mask in masks]

    together = np.stack(losses(*masks))
    assert together.shape == (3, 4) and len(np.unique(together)) == 12
    assert np.allclose(together[2], losses(masks[2])[0], rtol=1e-4)
