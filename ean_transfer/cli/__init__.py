"""The commands: one module per command, shared by the program ean and tools/*.py."""
