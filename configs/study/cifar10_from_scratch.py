"""ResNet-20 from scratch on CIFAR-10 with a modern recipe: does a ticket beat full attention?

python tools/study.py configs/study/cifar10_from_scratch.py --workers 2

Both starts of SE: its own, which multiplies a branch by about one half, and the identity. A run is
16 epochs, about 36 minutes of one core; there are 27, since none is the same network under both
starts, and the same command goes on where one stopped. The ticket is searched on images held out of
the training set.
"""

title = "What is left of 'the ticket beats full attention' once SE's small start is out?"
study = dict(
    search="configs/classification/resnet20_se_cifar10_search_short.py",
    arms=("none", "full", "ticket", "random", "late2"),
    tasks=dict(
        own_start=dict(
            config="configs/classification/resnet20_se_cifar10_16epochs.py",
            metric="accuracy/top1",
            label="accuracy (%), SE's own start",
        ),
        identity_start=dict(
            config="configs/classification/resnet20_se_cifar10_16epochs_identity.py",
            metric="accuracy/top1",
            label="accuracy (%), identity start",
        ),
    ),
    seeds=(0, 1, 2),
    # Stated before the first run. Margins are in points.
    claims=[
        dict(task="own_start", better="ticket", than="full"),
        dict(task="identity_start", better="ticket", than="full"),
        dict(task="identity_start", better="full", than="none"),
        dict(task="identity_start", as_good_as="full", arm="ticket", margin=0.5),
        dict(task="identity_start", better="ticket", than="random"),
        dict(task="identity_start", better="ticket", than="late2"),
    ],
    image_size=32,
    batch_size=64,
)
