"""Attention on CIFAR-10: as it is, re-parameterised to be folded away (ASR), and both at once.

python tools/study.py configs/study/asr.py
"""

title = "Attention for free on CIFAR-10: ResNet-20 with SE, 2 epochs"
study = dict(
    ticket="docs/results/se_resnet20_cifar10_ticket.json",
    attentions={
        "SE": dict(type="SE", reduction=4),
        "ASR": dict(type="SE", reduction=4, asr=True),
        "ASR+SE": dict(type="SE", reduction=4, asr="before"),
    },
    tasks=dict(
        classification=dict(
            config="configs/classification/resnet20_se_cifar10_2epochs.py",
            metric="accuracy/top1",
            label="CIFAR-10 accuracy (%)",
        ),
    ),
    seeds=[0, 1, 2],
    image_size=32,
    batch_size=64,
)
