"""Attention on networks of any make, and what all networks with attention have in common.

The room is not called ``attach``: a package of that name would hide the function
:func:`ean_transfer.attach` once it is imported.

=====================  ==============================================================
:mod:`~.attach`        attach and detach
:mod:`~.attached`      the modules of a network's attention, and its mask
:mod:`~.hook`          the hook by which a block's branch goes through its attention
:mod:`~.compiled`      refuses models whose compiled code does not notice hooks
:mod:`~.families`      the residual blocks of torchvision, timm and transformers
:mod:`~.known_blocks`  which classes of blocks these are, and where each has its parts
:mod:`~.places`        places of one's own: modules named by the user
:mod:`~.libraries`     networks of timm and torchvision by name
:mod:`~.resolve`       the ticket that attention, sharing and ticket arguments stand for
:mod:`~.batchnorm`     BatchNorm folded into the convolution before it, attention kept
:mod:`~.fitting`       a checkpoint's tensors under a network's names
:mod:`~.other_names`   names that other libraries give to the same layers
:mod:`~.network`       what the toolkit asks of any network: a ticket and a mask
:mod:`~.parameters`    parameter groups: new attention learns faster
:mod:`~.draws`         seeds of new attention, apart from the network's
=====================  ==============================================================
"""
