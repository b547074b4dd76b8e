"""Predict your own images: python tools/predict.py CONFIG CHECKPOINT photo.jpg --out-dir DIR"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("predict"))
