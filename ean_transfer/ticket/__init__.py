"""What a ticket is: data that says which residual blocks carry attention. Imports no torch.

========================  ============================================================
:mod:`~.ticket`           the ticket: conversions, and tickets derived from another
:mod:`~.model`            its base: the fields, their checks, reading and writing JSON
:mod:`~.files`            the tickets of the zoo and of checkpoints
:mod:`~.parse`            a ticket from what a person types: bits, decimals, words
:mod:`~.transfer`         the same mask on another attention, backbone or depth
:mod:`~.mask`             masks: one truth value per block, as tuples and as text
:mod:`~.architectures`    names of the known backbones and their blocks per stage
:mod:`~.display`          tickets as text and diagrams for a terminal
:mod:`~.provenance_text`  a provenance as text for a terminal
:mod:`~.card`             a page about a ticket, with its picture, for others
========================  ============================================================

The published tickets lie in ``zoo/``, as files.
"""

from ean_transfer.ticket.files import ticket_of, zoo
from ean_transfer.ticket.model import BackboneSpec, Option, Sharing, TicketError
from ean_transfer.ticket.ticket import Ticket

__all__ = ["BackboneSpec", "Option", "Sharing", "Ticket", "TicketError", "ticket_of", "zoo"]
