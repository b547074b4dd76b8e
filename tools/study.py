"""Run a study: python tools/study.py configs/study/toy.py --work-dir work_dirs/demo"""

import sys

from ean_transfer.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("study"))
