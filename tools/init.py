"""Write a project for labelled images: python tools/init.py counting data/mine --out-dir mine"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("init"))
