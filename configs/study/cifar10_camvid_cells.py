"""The whole path on real data: ResNet-20 with SE, from CIFAR-10 to CamVid and VGG Cells.

python tools/study.py configs/study/cifar10_camvid_cells.py
"""

title = "CIFAR-10 to CamVid and cells: ResNet-20, SE"
study = dict(
    search="configs/classification/resnet20_se_cifar10_search_short.py",
    tasks=dict(
        classification=dict(
            config="configs/classification/resnet20_se_cifar10_short.py",
            metric="accuracy/top1",
            label="CIFAR-10 accuracy (%)",
        ),
        segmentation=dict(
            config="configs/segmentation/fcn_resnet20_se_camvid_short.py",
            metric="mIoU",
            label="CamVid val mIoU (%)",
            starts_from="classification",
        ),
        counting=dict(
            config="configs/crowd_counting/resnet20_se_cells_short.py",
            metric="MAE",
            label="cells MAE",
            starts_from="classification",
        ),
    ),
    image_size=32,
    batch_size=64,
)
