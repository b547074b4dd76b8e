"""The innermost data set is the same for configs and for data sets."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from mmengine.config import Config

from ean_transfer.data.config import dataset_config, innermost, require_parts
from ean_transfer.data.config import test_pipeline as pipeline_of_test
from ean_transfer.errors import ConfigError


def test_wrappers_are_taken_off_of_configs_and_of_data_sets():
    config = dict(type="A", pipeline=[])
    wrapped = dict(type="RepeatDataset", dataset=dict(datasets=[config, dict(type="B")]))
    assert innermost(config) is innermost(wrapped) is config
    dataset = object()
    several = SimpleNamespace(datasets=[dataset, object()])
    assert innermost(dataset) is innermost(SimpleNamespace(dataset=several)) is dataset


@pytest.mark.parametrize("parts", [{}, {"test_dataloader": None}], ids=str)
def test_a_config_without_test_data_is_refused_or_has_no_pipeline(parts: dict) -> None:
    cfg = Config({"val_cfg": {}, **parts})
    assert pipeline_of_test(cfg) is None
    with pytest.raises(ConfigError, match="expected test_dataloader, found no test_dataloader"):
        dataset_config(cfg)
    with pytest.raises(ConfigError, match="val_cfg, test_dataloader, found no test_dataloader"):
        require_parts(cfg, "val_cfg", "test_dataloader")
