"""Imports OpenMMLab's packages without what they say about optional parts.

mmpretrain and mmseg print and warn at import that a plug-in and compiled ops are not installed;
nothing here needs them. Import this module before those two.
"""

import io
import warnings
from contextlib import redirect_stdout

with redirect_stdout(io.StringIO()), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mmpretrain.datasets  # noqa: F401
    import mmseg.datasets  # noqa: F401
