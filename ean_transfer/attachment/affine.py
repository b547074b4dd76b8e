"""The tensors through which a module's output can be divided by a constant.

``attach(init="identity")`` divides them by what new attention multiplies a branch by. A branch that
ends in anything else must be recognised: dividing there would change the network without a word.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attachment.known_blocks import class_names

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
_FROZEN_NORMS = {
    "torchvision.ops.misc.FrozenBatchNorm2d",
    "timm.layers.norm_act.FrozenBatchNormAct2d",
}
# Convolutions of timm that only pad differently. Those that standardise their weights undo a
# division, so other subclasses with a forward of their own are not trusted.
_PADDING_CONVS = {"timm.layers.conv2d_same.Conv2dSame", "timm.layers.conv2d_same.Conv2dSameExport"}
_LINEAR = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
# act(x / c) = act(x) / c for c > 0
_HOMOGENEOUS = (nn.Identity, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Dropout, nn.Dropout2d)

# Modules that are more than one layer: the attribute that is the last one which scales.
_LAST_LAYER = {
    "timm.layers.conv_bn_act.ConvNormAct": "bn",  # an anti-aliasing filter after it is linear
    "timm.layers.mlp.Mlp": "fc2",
    "timm.layers.mlp.GlobalResponseNormMlp": "fc2",
}


def last_affine(module: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """The layer whose weight and bias divide a module's output by c > 0 if they are divided by c.

    Returns:
        The layer and the names of these tensors; no names if the module does not end in an affine
        layer, apart from activations such as ReLU that a positive factor passes through.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return module, ()  # its class has no forward to look at
    if type(module).forward is nn.Sequential.forward:
        for child in reversed([*module.children()]):
            if not isinstance(child, _HOMOGENEOUS):
                return last_affine(child)
        return module, ()
    names = class_names(module)
    for name in names:
        if name in _LAST_LAYER:
            return last_affine(getattr(module, _LAST_LAYER[name]))
    is_norm = isinstance(module, _NORMS) or not _FROZEN_NORMS.isdisjoint(names)
    # timm's normalisations contain their activation.
    if is_norm and isinstance(getattr(module, "act", nn.Identity()), _HOMOGENEOUS):
        return module, _stored(module)
    return module, _stored(module) if _is_linear(module, names) else ()


def _is_linear(module: nn.Module, names: list[str]) -> bool:
    inherits = any(type(module).forward is kind.forward for kind in _LINEAR)
    return isinstance(module, _LINEAR) and (inherits or not _PADDING_CONVS.isdisjoint(names))


def _stored(layer: nn.Module) -> tuple[str, ...]:
    """``weight`` and ``bias`` if they are tensors of the layer's own.

    Under a parametrisation (weight norm) they are computed anew at each forward.
    """
    own = {**layer._parameters, **layer._buffers}
    stored = tuple(name for name in ("weight", "bias") if isinstance(own.get(name), Tensor))
    return stored if "weight" in stored else ()
