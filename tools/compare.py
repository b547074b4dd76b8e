"""The former name of: python tools/inspect.py compare"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    print("tools/compare.py is now tools/inspect.py compare", file=sys.stderr)
    sys.exit(run_command("inspect", ["compare", *sys.argv[1:]]))
