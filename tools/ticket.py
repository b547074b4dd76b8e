"""Show, convert and compare tickets: python tools/ticket.py show zoo:ean-sge-resnet50"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("ticket"))
