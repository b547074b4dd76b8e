"""Measure search, costs and speed: python tools/benchmark.py search (see --help)"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("benchmark"))
