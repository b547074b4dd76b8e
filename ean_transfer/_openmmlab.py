"""Imports mmpretrain and mmseg without what they say about missing optional parts.

They print and warn at import that a plug-in and compiled operators are not installed, and nothing
here needs those. Import this module before the two packages.
"""

import io
import warnings
from contextlib import redirect_stdout

with redirect_stdout(io.StringIO()), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mmpretrain.datasets
    import mmpretrain.models  # noqa: F401
    import mmseg.datasets  # noqa: F401
