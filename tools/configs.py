"""List the configs that come with the package: python tools/configs.py camvid"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("configs"))
