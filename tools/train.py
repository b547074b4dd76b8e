"""Train any task: python tools/train.py configs/segmentation/toy.py --ticket ticket.json"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("train"))
