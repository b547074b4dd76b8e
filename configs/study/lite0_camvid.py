"""A pretrained Lite0 segments CamVid: tickets from CIFAR-10 and from CamVid, and rules of thumb.

python tools/study.py configs/study/lite0_camvid.py --workers 2
"""

title = "Where does SE belong in a pretrained EfficientNet-Lite0 that segments CamVid?"
study = dict(
    search="configs/classification/lite0_se_cifar10_search.py",
    searches=dict(searched_on_target="configs/segmentation/fpn_lite0_se_camvid_search.py"),
    arms=("none", "full", "ticket", "random", "late2", "first_half"),
    tasks=dict(
        segmentation=dict(
            config="configs/segmentation/fpn_lite0_se_camvid.py",
            metric="mIoU",
            label="CamVid val mIoU (%)",
        ),
    ),
    seeds=(0, 1, 2, 3, 4, 5),
    # Stated before the first run. Margins are in points of mIoU.
    claims=[
        dict(better="full", than="none"),
        dict(better="ticket", than="none"),
        dict(as_good_as="full", arm="ticket", margin=0.5),
        dict(better="ticket", than="random"),
        dict(as_good_as="searched_on_target", arm="ticket", margin=0.5),
        dict(better="searched_on_target", than="late2"),
    ],
    image_size=224,
    batch_size=8,
    compiled=True,
)
