"""Search a ticket: python tools/search.py configs/classification/toy_search.py"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("search"))
