"""``ean dataset convert counting``: points of other formats as one ``points.csv``.

======================  ==========================================================================
:mod:`~.convert`        from a source to the table, with what was left out
:mod:`~.point_files`    formats that hold points alone: CSV, JSON, ``.npy``, ``.mat``, dot images
:mod:`~.voc`            boxes of Pascal VOC's XML, whose centres are points
======================  ==========================================================================
"""

from ean_transfer.crowd_counting.conversion.convert import convert_points

__all__ = ["convert_points"]
