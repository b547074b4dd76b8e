"""Check a data set's folder: python tools/dataset.py check qnrf data/UCF-QNRF_ECCV18"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("dataset"))
