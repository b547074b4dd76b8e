"""Counting people in a few photographs, by a ticketed ResNet-20 from CIFAR-10.

python tools/study.py configs/study/crowd.py

The backbones come from CIFAR-10: run cifar10_camvid_cells.py first, which trains them.
"""

title = "A few photographs: ResNet-20, SE"
study = dict(
    ticket="docs/results/se_resnet20_cifar10_ticket.json",
    tasks=dict(
        counting=dict(
            config="configs/crowd_counting/resnet20_se_crowd_short.py",
            metric="MAE",
            label="MAE (people, 4 images)",
            weights="work_dirs/study/cifar10_camvid_cells/classification/{arm}/seed0/epoch_4.pth",
        ),
    ),
    arms=("ticket",),
    image_size=256,
    batch_size=4,
)
