"""The former name of: python tools/fold.py"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    print("tools/asr.py is now tools/fold.py", file=sys.stderr)
    sys.exit(run_command("fold"))
