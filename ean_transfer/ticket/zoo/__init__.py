"""The published tickets, as ticket files: ``zoo:NAME`` is ``NAME.json`` in this folder."""
