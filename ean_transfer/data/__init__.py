"""What the data of all tasks share: configs, augmentation, tiles."""
