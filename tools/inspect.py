"""Look inside networks: python tools/inspect.py gradcam CONFIG full=b.pth --out gradcam.png"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    from ean_transfer.cli.main import run_command

    sys.exit(run_command("inspect"))

if __name__ == "inspect":
    # Python puts a script's folder first in sys.path. With a script of this folder, "import
    # inspect" therefore finds this file: hand over to the standard library's module of that name.
    folder, search_path = Path(__file__).resolve().parent, sys.path[:]
    sys.path[:] = [place for place in search_path if Path(place).resolve() != folder]
    del sys.modules["inspect"]
    import_module("inspect")
    sys.path[:] = search_path
