"""Reading and writing: files, images, checkpoints, and text for terminals."""
