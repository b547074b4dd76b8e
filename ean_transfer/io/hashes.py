"""The hash of a network's weights, by which a search knows its supernets again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """The first 16 hex digits of a hash of names, types, shapes and values, in any order.

    Unlike a hash of the checkpoint's file, which has a date in it, it is the same for two equal
    trainings.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        # As bytes, since NumPy lacks some types (bfloat16).
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
