"""``ean dataset convert segmentation``: label files out of other formats.

======================  ======================================================================
:mod:`~.convert`        from a source to a folder of label files, with what was left out
:mod:`~.drawn`          polygons and bitmaps of annotation tools, painted
:mod:`~.colours`        colour and palette images, looked up in a table
:mod:`~.colour_table`   reads the table: colours and their classes
:mod:`~.class_masks`    one folder of binary masks per class
======================  ======================================================================
"""

from ean_transfer.segmentation.conversion.convert import convert_masks

__all__ = ["convert_masks"]
