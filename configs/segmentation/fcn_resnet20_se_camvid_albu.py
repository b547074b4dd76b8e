"""The short CamVid recipe with albumentations: rotation, colours, noise and blur.

python tools/dataset.py augment configs/segmentation/fcn_resnet20_se_camvid_albu.py --out seen.png
python tools/train.py configs/segmentation/fcn_resnet20_se_camvid_albu.py --ticket ticket.json
"""

from mmengine.config import read_base

with read_base():
    from .fcn_resnet20_se_camvid_short import *

from ean_transfer.segmentation import AlbuSeg

# In place of mmseg's PhotoMetricDistortion, since the colours are changed here.
train_pipeline[5] = dict(
    type=AlbuSeg,
    transforms=[
        dict(type="Rotate", limit=10, p=0.5),  # degrees
        dict(type="RandomBrightnessContrast", brightness_limit=0.1, p=0.5),
        dict(type="HueSaturationValue", p=0.5),
        dict(type="GaussNoise", std_range=(0.02, 0.08), p=0.2),  # share of the range
        dict(type="GaussianBlur", sigma_limit=(0.3, 1.0), p=0.2),  # pixels
    ],
)
train_dataloader["dataset"].update(pipeline=train_pipeline)
