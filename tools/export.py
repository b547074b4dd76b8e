"""Export a trained network: python tools/export.py CONFIG CHECKPOINT --format onnx"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("export"))
