"""CIFAR-10 to CamVid: ResNet-20 with SE, the ticket against none, full and random tickets.

python tools/study.py configs/study/camvid.py

One CIFAR-10 backbone per ticket; the seeds vary the segmentation training and the random ticket.
"""

title = "CIFAR-10 to CamVid: ResNet-20, SE"
study = dict(
    ticket="docs/results/se_resnet20_cifar10_ticket.json",
    arms=("none", "full", "ticket", "random"),
    tasks=dict(
        classification=dict(
            config="configs/classification/resnet20_se_cifar10_short.py",
            metric="accuracy/top1",
            label="CIFAR-10 accuracy (%)",
            once=True,
        ),
        segmentation=dict(
            config="configs/segmentation/fcn_resnet20_se_camvid_short.py",
            metric="mIoU",
            label="CamVid val mIoU (%)",
            starts_from="classification",
        ),
    ),
    seeds=(0, 1, 2),
    image_size=128,
    batch_size=8,
)
