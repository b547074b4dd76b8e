"""Every attention module on CIFAR-10: ResNet-20, full and on one fixed sparse mask, against none.

python tools/study.py configs/study/modules.py
"""

title = "Attention modules on CIFAR-10: ResNet-20, 2 epochs"
study = dict(
    ticket="docs/results/se_resnet20_cifar10_ticket.json",
    attentions=dict(
        SE=dict(type="SE", reduction=4),
        SGE=dict(type="SGE", groups=4),
        DIA=dict(type="DIA", reduction=4),
        CBAM=dict(type="CBAM", reduction=4),
        ECA=dict(type="ECA"),
        SPA=dict(type="SPA", reduction=4),
        IE=dict(type="IE"),
        SRM=dict(type="SRM"),
        SimAM=dict(type="SimAM"),
        CoordAtt=dict(type="CoordAtt"),
        SEM=dict(type="SEM", reduction=4),
        LSAS=dict(type="LSAS", reduction=4),
    ),
    tasks=dict(
        classification=dict(
            config="configs/classification/resnet20_se_cifar10_2epochs.py",
            metric="accuracy/top1",
            label="CIFAR-10 accuracy (%)",
        ),
    ),
    image_size=32,
    batch_size=64,
)
