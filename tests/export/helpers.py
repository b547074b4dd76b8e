"""Small trained networks to export, and images for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ean_transfer import Ticket
from ean_transfer.engine.config import load_config
from ean_transfer.engine.weights import write_network
from tests.helpers import CONFIGS

SHALLOW = {"model.backbone.depth": 8}  # one block per stage, which halves the time of an export
SE = {"attention_options": {"reduction": 4}}
MIXED = Ticket.from_bits("1 0 1", "resnet8_cifar", "SE", **SE).replace(asr=("1", "1", "0"))
SE_FULL = Ticket.full("resnet8_cifar", "SE", **SE)
EXAMPLE = (40, 56)  # (H, W) that networks are traced with
SHAPES = [(1, 3, 33, 47), (3, 3, 48, 32)]  # other batches and sizes
MEAN, STD = 127.5, 64.0  # of the toy world


class Trained(NamedTuple):
    cfg: Config
    checkpoint: Path
    model: nn.Module


def trained(cfg: Config, ticket: Any, folder: Path) -> Trained:
    """A network all of whose parameters and statistics are away from their initial values."""
    is_ticket = isinstance(ticket, Ticket)
    cfg.model.backbone["ticket"] = ticket.model_dump(mode="json") if is_ticket else ticket
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for norm in (module for module in model.modules() if isinstance(module, _BatchNorm)):
            norm.running_mean.normal_(0.0, 0.2)
            norm.running_var.uniform_(0.5, 1.5)
    file = folder / "epoch_1.pth"
    write_network(model, file)
    cfg.model.backbone["ticket"] = None  # an export takes the checkpoint's
    return Trained(cfg, file, model)


def toy_config(task: str, **options: Any) -> Config:
    return load_config(CONFIGS / task / "toy.py", {**SHALLOW, **options})


def pixels(shape: tuple[int, ...]) -> Tensor:
    """RGB images (N, 3, H, W) of whole numbers in [0, 255], float32."""
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)).float()


def normalised(images: Tensor) -> Tensor:
    return (images - MEAN) / STD
