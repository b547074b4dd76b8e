"""The whole path on the toy world: search, then none / full / ticket on three tasks.

python tools/study.py configs/study/toy.py --work-dir work_dirs/demo
"""

title = "One search, three tasks: the toy world"
study = dict(
    search="configs/classification/toy_search.py",
    tasks=dict(
        classification=dict(
            config="configs/classification/toy.py",
            metric="accuracy/top1",
            label="accuracy (%)",
        ),
        segmentation=dict(
            config="configs/segmentation/toy.py",
            metric="mIoU",
            label="mIoU (%)",
            starts_from="classification",
        ),
        counting=dict(
            config="configs/crowd_counting/toy.py",
            metric="MAE",
            label="MAE (discs)",
            starts_from="classification",
        ),
    ),
    # What the study is to decide, and within which margin (docs/studies.md). This demo's one seed
    # decides nothing; study.seeds=(0,1,2,3,4,5) might.
    claims=[
        dict(better="ticket", than="none", metric="accuracy/top1"),
        dict(as_good_as="full", arm="ticket", metric="mIoU", margin=5.0),
        dict(better="ticket", than="none", metric="MAE"),
    ],
    image_size=24,
)
