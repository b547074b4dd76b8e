"""What a ticket is: data about which residual blocks carry attention. Imports no torch.

======================  ==================================================================
:mod:`~.ticket`         the ticket itself: fields, checks, conversions
:mod:`~.files`          ticket files and the zoo
:mod:`~.architectures`  names of the known backbones and their blocks per stage
:mod:`~.parse`          a ticket from what a person types: bits, decimals, words, files
:mod:`~.transfer`       the same mask on another attention, backbone or depth
:mod:`~.mask`           masks: one truth value per block
:mod:`~.display`        tickets as text and diagrams for a terminal
======================  ==================================================================
"""

from ean_transfer.ticket.ticket import BackboneSpec, Option, Sharing, Ticket, TicketError

__all__ = ["BackboneSpec", "Option", "Sharing", "Ticket", "TicketError"]
