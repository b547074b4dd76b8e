"""The hash of a network's weights tells any two networks apart."""

from __future__ import annotations

import torch

from ean_transfer.io.hashes import weights_hash


def test_a_hash_of_weights_is_of_names_types_shapes_and_values_alone() -> None:
    weights = {"a": torch.zeros(2, 3), "b": torch.tensor(3), "c": torch.ones(2).bfloat16()}
    changes = [
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3).double()},
        {"b": torch.tensor(4)},
        {"d": torch.zeros(0)},
    ]
    hashes = [weights_hash(weights), *(weights_hash({**weights, **change}) for change in changes)]
    assert len(set(hashes)) == len(hashes)
    strided = {**weights, "a": torch.zeros(3, 2).T}
    assert weights_hash(dict(reversed(strided.items()))) == hashes[0]
