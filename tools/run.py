"""Run a project: python tools/run.py mine"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("run"))
