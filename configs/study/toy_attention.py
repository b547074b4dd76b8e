"""Does attention help on the toy world? Its classification with three seeds.

python tools/study.py configs/study/toy_attention.py
"""

title = "The toy world's classification, three seeds"
study = dict(
    search="configs/classification/toy_search.py",
    tasks=dict(
        classification=dict(
            config="configs/classification/toy.py",
            metric="accuracy/top1",
            label="accuracy (%)",
        ),
    ),
    seeds=(0, 1, 2),
    claims=[
        dict(better="full", than="none"),
        dict(as_good_as="full", arm="ticket", margin=1.0),
    ],
    image_size=24,
)
