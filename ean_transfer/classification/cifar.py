"""CIFAR from its original files, with an error that says where they belong.

mmpretrain's own error, where it cannot download them, is ``<urlopen error ...>``: it names neither
the file nor what to do.
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
        **kwargs: Arguments of mmpretrain's ``CIFAR10``: ``data_root``, ``split``, ``pipeline``, ...

    Raises:
        DataError: The files are not there, and cannot be downloaded or read.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """``{img, gt_label}`` of every image."""
        try:
            return super().load_data_list()
        # With download=False mmpretrain raises a RuntimeError, on other processes than the first an
        # AssertionError.
        except (OSError, RuntimeError, AssertionError) as error:
            folder = f"{self.data_prefix['root']}: expected {self.base_folder} in this folder"
            raise DataError(
                f"{folder}, could not download or read it ({error}): unpack {self.url} there"
            ) from error


@DATASETS.register_module()
class CheckedCIFAR100(CheckedCIFAR10, CIFAR100):
    """mmpretrain's CIFAR-100: ``data_root/cifar-100-python/``, downloaded there if absent."""
