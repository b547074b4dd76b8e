"""Batches on the disk are the batches that were written."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.structures import BaseDataElement, PixelData
from mmseg.structures import SegDataSample

from ean_transfer.supernet.on_disk import on_disk


def test_a_batch_of_any_structure_comes_back(tmp_path: Path) -> None:
    images = [torch.arange(3 * 5 * 7, dtype=torch.uint8).reshape(3, 5, 7), torch.rand(3, 4, 4)]
    labels = torch.randint(0, 9, (1, 5, 7))
    sample = SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo={"img_path": "a.png"})
    outer = BaseDataElement(scores=torch.rand(3), name="x")
    batch = {
        "inputs": images,
        "data_samples": [sample, outer],
        "pair": (torch.tensor(2.5, dtype=torch.float64), torch.rand(2, 6).T, "text", None),
    }
    copy = on_disk(batch, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(copy["inputs"], images, strict=True))
    assert torch.equal(copy["data_samples"][0].gt_sem_seg.data, labels)
    assert copy["data_samples"][0].img_path == "a.png"
    assert torch.equal(copy["data_samples"][1].scores, outer.scores)
    assert torch.equal(copy["pair"][0], batch["pair"][0])
    assert torch.equal(copy["pair"][1], batch["pair"][1])
    assert copy["pair"][2:] == ("text", None)
    assert not list(tmp_path.iterdir())


def test_a_batch_without_tensors_needs_no_file(tmp_path: Path) -> None:
    assert on_disk({"names": ["a", "b"]}, tmp_path) == {"names": ["a", "b"]}
