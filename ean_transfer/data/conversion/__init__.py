"""Labels of other tools and formats, read for ``ean dataset convert``, and deep images.

A format of objects (points, boxes, areas) is read into :class:`~.objects.AnnotatedImage`; each task
turns these into its plain data. Formats that only one task has are read in that task's room.

=====================  =========================================================================
:mod:`~.objects`       what is annotated: objects with a place and perhaps an area
:mod:`~.areas`         polygons and bitmaps painted into label images; COCO's run lengths
:mod:`~.settings`      the options of a conversion
:mod:`~.sources`       which files hold annotations, and in which format
:mod:`~.reading`       the formats by name; reads all files of a source
:mod:`~.coco`          COCO: boxes, keypoints, polygons, run lengths
:mod:`~.labelme`       labelme: one JSON per image
:mod:`~.cvat`          CVAT for images 1.1: XML
:mod:`~.via`           VGG Image Annotator 1 and 2: JSON and CSV
:mod:`~.tables`        CSV files of any delimiter, encoding and column names
:mod:`~.matching`      which image of a folder an annotation means
:mod:`~.report`        what was converted, what was left out and why
:mod:`~.writing`       folders that appear whole or not at all
:mod:`~.depth`         images of more than 8 bits per channel, scaled to 8
=====================  =========================================================================
"""
