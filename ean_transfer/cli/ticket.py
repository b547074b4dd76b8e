"""The command ``ticket``: shows, converts, compares and checks tickets. Imports no torch, but for
``cost``, ``pick``, and tickets that checkpoints and the like carry.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ean_transfer.cli import ticket_cost, ticket_pick
from ean_transfer.cli.output import print_json
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.ticket_source import (
    BACKBONE,
    TICKET,
    add_source_options,
    read_typed,
    ticket_from,
)
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import expanded, refuse_to_replace, write_atomically
from ean_transfer.io.terminal import printable, shortened
from ean_transfer.ticket import Ticket, TicketError, card, display
from ean_transfer.ticket.files import zoo
from ean_transfer.ticket.parse import parse_options
from ean_transfer.ticket.transfer import carry, fit

_DIFF_CODES = {True: 0, False: 1, None: 3}  # 2 means bad input


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the commands, their arguments and the functions that run them."""
    parser.epilog = """examples:
  %(prog)s zoo
  %(prog)s show zoo:ean-sge-resnet50
  %(prog)s convert "4 11 19 3" --backbone resnet50 --attention SGE --out sge.json
  %(prog)s convert sge.json --attention SE --out se.json
  %(prog)s convert random --backbone resnet20_cifar --sparsity 0.4 --seed 1
  %(prog)s fit zoo:ean-sge-resnet50 --backbone resnet101 --out sge101.json
  %(prog)s diff sge.json work_dirs/segmentation/toy
  %(prog)s card work_dirs/search --out card.md
  %(prog)s validate work_dirs/*/ticket.json
  %(prog)s cost se.json --network timm:resnet50 --size 224
  %(prog)s pick work_dirs/search --rule "latency <= 1.02 x plain" --out fast.json

A TICKET is a ticket file or zoo:NAME, or a checkpoint, exported file or work dir that carries one;
with --backbone also bits ("100 1011 010011 011"), the papers' decimals ("4 11 19 3"), none, full or
random."""
    commands = parser.add_commands()

    zoo_command = commands.add_parser("zoo", help="list the published tickets")
    zoo_command.add_shared("--json")
    zoo_command.set_defaults(run=run_zoo)

    show = commands.add_parser("show", help="draw a ticket, one cell per block")
    show.add_argument("ticket", metavar="TICKET", help=TICKET)
    add_source_options(show)
    show.add_shared("--json")
    show.set_defaults(run=run_show)

    convert = commands.add_parser(
        "convert", help="change a ticket's form, attention or mask; write it to a file"
    )
    convert.add_argument("ticket", metavar="TICKET", help=TICKET)
    add_source_options(convert)
    convert.add_shared(
        "--attention", help="attention to carry the mask to (default: the ticket's; else SE)"
    )
    convert.add_shared(
        "--option", help="option of the attention, e.g. reduction=16; may be repeated"
    )
    convert.add_argument(
        "--sharing", choices=("stage", "block"), help="one module per stage or per block"
    )
    convert.add_argument(
        "--complement", action="store_true", help="connect exactly the other blocks"
    )
    convert.add_argument(
        "--shuffle", action="store_true", help="draw other blocks, as many, with --seed"
    )
    convert.add_argument(
        "--asr",
        choices=("only", "before"),
        help="only: re-parameterise the connections, which can then be folded; before: keep them "
        "and add a re-parameterised one before each",
    )
    _add_outputs(convert)
    convert.set_defaults(run=run_convert)

    fit_command = commands.add_parser(
        "fit",
        help="move a ticket to another depth of its backbone's family",
        description="Each block takes the bit at the same relative place in its stage. This is a "
        "guess: nothing was searched on the new depth. The provenance records the origin.",
    )
    fit_command.add_argument("ticket", metavar="TICKET", help="a ticket file or zoo:NAME")
    fit_command.add_shared("--backbone", required=True, help="the other backbone, e.g. resnet101")
    # Scripts name the rule, of which there has only been one.
    fit_command.add_argument("--rule", choices=("nearest",), help=argparse.SUPPRESS)
    _add_outputs(fit_command)
    fit_command.set_defaults(run=run_fit)

    diff = commands.add_parser(
        "diff",
        help="compare two tickets",
        description="Exit code 0: the same network; 1: different networks; 3: the same network if "
        "the options that only one ticket states are the attention's defaults.",
    )
    diff.add_argument("first", metavar="TICKET", help=TICKET)
    diff.add_argument("second", metavar="TICKET", help="the same")
    diff.add_shared("--backbone", help=BACKBONE)
    diff.add_shared("--json")
    diff.set_defaults(run=run_diff)

    page = commands.add_parser(
        "card",
        help="write a page about a ticket, for a colleague or a model hub",
        description="A page in Markdown with the ticket's picture, where it is from, the scores "
        "and costs that its search recorded, commands to use it, and the ticket file itself. The "
        "picture is an .svg of the page's name beside it.",
    )
    page.add_argument("ticket", metavar="TICKET", help=TICKET)
    add_source_options(page)
    page.add_shared("--out", required=True, metavar="FILE.md", help="the page to write")
    page.set_defaults(run=run_card)

    validate = commands.add_parser(
        "validate", help="check ticket files", description="Exit code 1: some file is bad."
    )
    validate.add_argument("tickets", metavar="FILE", nargs="+", help="ticket files")
    validate.add_shared("--json")
    validate.set_defaults(run=run_validate)

    ticket_cost.add_command(commands)
    ticket_pick.add_command(commands)


def _add_outputs(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--to",
        choices=("bits", "decimal"),
        default="bits",
        help="the form to print",
    )
    # Ticket.save makes the folder: a ticket is written in an instant.
    parser.add_shared("--out", type=expanded, help="write a ticket file")
    parser.add_shared("--json", help="print the ticket file")


def run_show(arguments: argparse.Namespace) -> None:
    """Draw a ticket."""
    ticket = read_typed(arguments)
    if arguments.json:
        print_json(display.as_data(ticket))
    else:
        print(
            display.description(ticket, cells=display.cells_for(sys.stdout), color=_wants_color())
        )


def run_convert(arguments: argparse.Namespace) -> None:
    """Change a ticket's form, attention or mask."""
    options = parse_options(arguments.option) if arguments.option else None
    ticket = read_typed(
        arguments,
        attention=arguments.attention or "SE",
        attention_options=options or {},
        sharing=arguments.sharing or "stage",
    )
    ticket = carry(
        ticket,
        backbone=arguments.backbone,
        attention=arguments.attention,
        options=options,
        sharing=arguments.sharing,
    )
    if arguments.complement:
        ticket = ticket.complement()
    if arguments.shuffle:
        ticket = ticket.shuffled(arguments.seed)
    if arguments.asr:
        ticket = ticket.with_asr(before=arguments.asr == "before")
    _hand_over(ticket, arguments)


def run_fit(arguments: argparse.Namespace) -> None:
    """Move a ticket to another depth."""
    _hand_over(fit(Ticket.load(arguments.ticket), arguments.backbone), arguments)


def _hand_over(ticket: Ticket, arguments: argparse.Namespace) -> None:
    if arguments.out:
        refuse_to_replace([arguments.out], "another --out", _is_converted)
        file = ticket.save(arguments.out)
        print(f"wrote {file}: {display.summary(ticket)}", file=sys.stderr)
    if arguments.json:
        print(display.ascii_json(ticket.to_json()), end="")
    elif not arguments.out:
        print(ticket if arguments.to == "bits" else ticket.to_decimal())


def _is_converted(file: Path) -> bool:
    """Whether a file is a ticket that took no search to make."""
    try:
        return "settings" not in Ticket.load(file).provenance
    except TicketError:
        return False


def run_diff(arguments: argparse.Namespace) -> int:
    """Compare two tickets."""
    first, second = (
        ticket_from(source, arguments.backbone) for source in (arguments.first, arguments.second)
    )
    difference = display.compare(first, second)
    if arguments.json:
        data = asdict(difference)
        if difference.blocks is not None:
            data["blocks"] = [block._asdict() for block in difference.blocks]
        print_json(data)
    else:
        print(display.difference_text(first, second))
    return _DIFF_CODES[difference.same_network]


def run_card(arguments: argparse.Namespace) -> None:
    """Write a page about a ticket, and its picture."""
    page: Path = arguments.out
    picture = page.with_suffix(".svg")
    if page.suffix != ".md":
        raise ConfigError(f"--out: expected the name of a .md file, found {page}")
    ticket = read_typed(arguments)
    refuse_to_replace([page, picture], "another --out", lambda _: _is_card(page))
    write_atomically(picture, card.picture(ticket))
    write_atomically(page, card.card(ticket, picture.name))
    print(f"wrote {page} and {picture}: {display.summary(ticket)}", file=sys.stderr)


def _is_card(page: Path) -> bool:
    return page.is_file() and card.COMMANDS in page.read_text(encoding="utf-8", errors="replace")


def run_validate(arguments: argparse.Namespace) -> int:
    """Say of each file whether it is a ticket, or why not."""
    results: list[dict[str, Any]] = []
    for path in arguments.tickets:
        try:
            ticket = Ticket.load(path)
        except TicketError as error:
            results.append({"path": path, "ok": False, "error": str(error)})
        else:
            results.append({"path": path, "ok": True, "id": ticket.id})
        if not arguments.json:
            line = results[-1].get("error") or f"{path}: ok ({display.summary(ticket)})"
            print(shortened(printable(line), 1000))
    if arguments.json:
        print_json(results)
    return 0 if all(result["ok"] for result in results) else 1


def run_zoo(arguments: argparse.Namespace) -> None:
    """List the published tickets."""
    tickets = zoo()
    if arguments.json:
        print_json(
            [
                {"name": f"zoo:{name}", "confirmed": not display.is_unconfirmed(ticket)}
                | display.as_data(ticket)
                for name, ticket in tickets.items()
            ]
        )
    else:
        print(display.zoo_table(tickets))


def _wants_color() -> bool:
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )
