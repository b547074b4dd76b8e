"""The former name of: python tools/inspect.py"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    print("tools/look.py is now tools/inspect.py", file=sys.stderr)
    sys.exit(run_command("inspect"))
