"""The innermost data set is the same for configs and for data sets."""

from __future__ import annotations

from types import SimpleNamespace

from ean_transfer.data.config import innermost


def test_wrappers_are_taken_off_of_configs_and_of_data_sets():
    config = dict(type="A", pipeline=[])
    wrapped = dict(type="RepeatDataset", dataset=dict(datasets=[config, dict(type="B")]))
    assert innermost(config) is innermost(wrapped) is config
    dataset = object()
    several = SimpleNamespace(datasets=[dataset, object()])
    assert innermost(dataset) is innermost(SimpleNamespace(dataset=several)) is dataset
