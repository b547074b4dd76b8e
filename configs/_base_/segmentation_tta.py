"""Test-time augmentation of segmentation: six sizes, each also mirrored, probabilities averaged.

``tools/test.py --tta`` replaces the model and the test pipeline by these. Scale factors are
relative to the size at which the config tests.
"""

from mmcv.transforms import RandomFlip, TestTimeAug
from mmseg.datasets.transforms import PackSegInputs, Resize

from ean_transfer.data.loading import LoadImage
from ean_transfer.segmentation.loading import CheckedAnnotations
from ean_transfer.segmentation.tta import SegmentationTTA

tta_model = dict(type=SegmentationTTA)
tta_pipeline = [
    dict(type=LoadImage),
    dict(
        type=TestTimeAug,
        transforms=[
            [
                dict(type=Resize, scale_factor=factor, keep_ratio=True)
                for factor in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            ],
            [
                dict(type=RandomFlip, prob=probability, direction="horizontal")
                for probability in (0.0, 1.0)
            ],
            [dict(type=CheckedAnnotations)],  # after Resize: the labels keep their size
            [dict(type=PackSegInputs)],
        ],
    ),
]
