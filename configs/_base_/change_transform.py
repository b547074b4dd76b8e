"""Changes a transform of a loader's data sets by its name instead of by its position.

``change_transform(train_dataloader, "RandomCrop", crop_size=(256, 256))``. The data sets have
pipelines of their own: ``train_pipeline[3].update(...)`` after reading a base would change the
variable alone.
"""

from importlib import import_module

# An ordinary import gives mmengine's stand-in for a function, which cannot be called in a config.
change_transform = import_module("ean_transfer.engine.pipelines").change_transform
