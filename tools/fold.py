"""What attention is worth: python tools/fold.py report CONFIG CHECKPOINT --choose-on train"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("fold"))
