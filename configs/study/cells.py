"""VGG Cells by the usual protocol: 50 of the first 100 images, five draws, on a ticketed ResNet-20.

python tools/study.py configs/study/cells.py

The backbones come from CIFAR-10: run cifar10_camvid_cells.py first, which trains them.
"""

title = "VGG Cells, five draws of 50 images: ResNet-20, SE"
study = dict(
    ticket="docs/results/se_resnet20_cifar10_ticket.json",
    tasks=dict(
        counting=dict(
            config="configs/crowd_counting/resnet20_se_cells_short.py",
            metric="MAE",
            label="cells MAE",
            weights="work_dirs/study/cifar10_camvid_cells/classification/{arm}/seed0/epoch_4.pth",
            seed_keys=["train_dataloader.dataset.draw.seed", "val_dataloader.dataset.draw.seed"],
        ),
    ),
    seeds=(0, 1, 2, 3, 4),
    image_size=256,
    batch_size=4,
)
