"""A pretrained Lite0 counts cells: tickets from CIFAR-10 and from the cells, and rules of thumb.

python tools/study.py configs/study/lite0_cells.py --workers 2

A seed varies the draw of the 50 training images as well.
"""

title = "Where does SE belong in a pretrained EfficientNet-Lite0 that counts cells?"
study = dict(
    search="configs/classification/lite0_se_cifar10_search.py",
    searches=dict(searched_on_target="configs/crowd_counting/lite0_se_cells_search.py"),
    arms=("none", "full", "ticket", "random", "late2", "first_half"),
    tasks=dict(
        counting=dict(
            config="configs/crowd_counting/lite0_se_cells.py",
            metric="MAE",
            label="cells MAE",
            seed_keys=["train_dataloader.dataset.draw.seed", "val_dataloader.dataset.draw.seed"],
        ),
    ),
    seeds=(0, 1, 2, 3, 4, 5),
    # Stated before the first run. An image has 174 cells on average, so that 0.3 is 0.2 %.
    claims=[
        dict(better="full", than="none"),
        dict(better="ticket", than="none"),
        dict(as_good_as="full", arm="ticket", margin=0.3),
        dict(better="ticket", than="random"),
        dict(as_good_as="searched_on_target", arm="ticket", margin=0.3),
        dict(better="searched_on_target", than="late2"),
    ],
    image_size=256,
    batch_size=4,
    compiled=True,
)
