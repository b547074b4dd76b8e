"""A config that cannot be built is one line; a mistake of the toolkit's own code is none."""

from __future__ import annotations

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS
from mmseg.datasets import CityscapesDataset
from torch import nn

from ean_transfer.engine.config_errors import config_errors
from ean_transfer.errors import ConfigError


class Base(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()


@MODELS.register_module()
class HandsOn(Base):
    def __init__(self, **options: int) -> None:
        super().__init__(**options)


@MODELS.register_module()
class HasABug(Base):
    def __init__(self, channels: int) -> None:
        super().__init__(chanels=channels)


def build(**part: object) -> None:
    with config_errors(Config({"model": part}, filename=__file__)):
        MODELS.build(part)


@pytest.mark.parametrize(
    ("part", "word"),
    [
        ({"type": "Nothing"}, "Nothing is not in the mmengine::model registry"),
        ({"type": "Linear", "in_features": 1, "out": 2}, "'out'"),
        ({"type": nn.Linear, "in_features": 1}, "'out_features'"),
        ({"type": "HandsOn", "chanels": 2}, "'chanels'"),  # refused by the base of the class
        ({"channels": 2}, '"type"'),
    ],
    ids=str,
)
def test_what_the_config_says_wrongly_is_named(part: dict, word: str) -> None:
    MODELS.register_module("Linear", module=nn.Linear, force=True)
    with pytest.raises(
        ConfigError, match=r"test_config_errors\.py: the config does not fit"
    ) as raised:
        build(**part)
    message = str(raised.value)
    assert message.startswith(__file__) and word in message and "\n" not in message


def test_mistakes_of_the_code_pass_as_they_are() -> None:
    with pytest.raises(TypeError, match="chanels"):
        build(type="HasABug", channels=2)
    for bug in (TypeError("f() got an unexpected keyword argument 'model'"), KeyError("model")):
        with pytest.raises(type(bug)), config_errors(Config({"model": {}})):
            raise bug


def test_classes_of_ones_own_on_a_data_set_of_mmseg_are_one_line() -> None:
    with (
        pytest.raises(ConfigError, match=r"test_config_errors\.py: .*'cell'.*CheckedSegDataset"),
        config_errors(Config({}, filename=__file__)),
    ):
        CityscapesDataset(metainfo={"classes": ("ground", "cell")})


def test_values_that_are_wrong_for_another_reason_pass_as_they_are() -> None:
    with pytest.raises(ValueError, match="^something else$"), config_errors(Config({})):
        raise ValueError("something else")
