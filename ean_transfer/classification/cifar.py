"""CIFAR from its original files, which says where they belong if they cannot be downloaded.

mmpretrain's own error is ``<urlopen error ...>``, without a file and what to do about it.
"""

from __future__ import annotations

from typing import Any

from mmengine.registry import DATASETS
from mmpretrain.datasets import CIFAR10, CIFAR100

from ean_transfer.errors import DataError


@DATASETS.register_module()
class CheckedCIFAR10(CIFAR10):
    """mmpretrain's CIFAR-10: ``data_root/cifar-10-batches-py/``, downloaded there if absent.

    Args:
        **kwargs: Of mmpretrain's ``CIFAR10``: ``data_root``, ``split``, ``pipeline``, ...

    Raises:
        DataError: The files are not there, and cannot be downloaded or read.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """``{img, gt_label}`` of every image."""
        try:
            return super().load_data_list()
        except OSError as error:
            root = self.data_prefix["root"]
            raise DataError(
                f"{root}: expected {self.base_folder} in this folder, which could not be "
                f"downloaded or read ({error}): unpack {self.url} there, or set data_root"
            ) from error


@DATASETS.register_module()
class CheckedCIFAR100(CheckedCIFAR10, CIFAR100):
    """mmpretrain's CIFAR-100, likewise: ``data_root/cifar-100-python/``."""
