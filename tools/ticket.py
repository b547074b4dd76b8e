"""Look at tickets, convert, compare and check them.

examples:
  python tools/ticket.py zoo
  python tools/ticket.py show zoo:ean-sge-resnet50
  python tools/ticket.py convert "4 11 19 3" --backbone resnet50 --attention SGE --out sge.json
  python tools/ticket.py convert sge.json --attention SE --out se.json
  python tools/ticket.py convert random --backbone resnet20_cifar --sparsity 0.4 --seed 1
  python tools/ticket.py fit zoo:ean-sge-resnet50 --backbone resnet101 --out sge101.json
  python tools/ticket.py diff sge.json se.json
  python tools/ticket.py validate work_dirs/*/ticket.json

A TICKET is a ticket file or zoo:NAME; with --backbone also bits ("100 1011 010011 011"), the
papers' decimals ("4 11 19 3"), none, full or random.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, read_seed
from ean_transfer.io.terminal import printable
from ean_transfer.ticket import Ticket, TicketError, zoo
from ean_transfer.ticket import display as ticket_text
from ean_transfer.ticket import parse as ticket_source
from ean_transfer.ticket.transfer import RULES, fit

_TICKET_HELP = "a ticket file, zoo:NAME; with --backbone bits, decimals, none, full or random"
_BACKBONE_HELP = "backbone of bits, decimals, none, full, random, e.g. resnet50, resnet20_cifar"
_DIFF_CODES = {True: 0, False: 1, None: 3}  # 2 is bad input's


@friendly_errors()
def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    code: int = arguments.run(arguments)
    sys.stdout.flush()  # so that a reader who has left is noticed here
    return code


def build_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    show = commands.add_parser("show", help="draw a ticket, a cell a block")
    show.add_argument("ticket", metavar="TICKET", help=_TICKET_HELP)
    _add_source_options(show)
    _add_json(show)
    show.set_defaults(run=run_show)

    convert = commands.add_parser(
        "convert", help="from bits, decimals, a file or the zoo to bits, decimals or a file"
    )
    convert.add_argument("ticket", metavar="TICKET", help=_TICKET_HELP)
    _add_source_options(convert)
    convert.add_argument(
        "--attention", metavar="NAME", help="attention to carry the mask to (default: as it is; SE)"
    )
    convert.add_argument(
        "--option",
        metavar="KEY=VALUE",
        action="append",
        help="option of the attention, e.g. reduction=16; may be repeated",
    )
    convert.add_argument(
        "--sharing", choices=("stage", "block"), help="one module a stage or block"
    )
    convert.add_argument(
        "--complement", action="store_true", help="connect just the blocks that are not"
    )
    convert.add_argument(
        "--shuffle", action="store_true", help="another ticket as sparse, drawn with --seed"
    )
    convert.add_argument(
        "--asr",
        choices=("only", "before"),
        help="re-parameterise the connections, to fold them away, or before each that is kept",
    )
    _add_outputs(convert)
    convert.set_defaults(run=run_convert)

    fitting = commands.add_parser(
        "fit",
        help="move a ticket to another depth of its backbone's family",
        description="A guess: the ticket was searched on the other depth. Its provenance keeps "
        "where it came from.",
    )
    fitting.add_argument("ticket", metavar="TICKET", help="a ticket file or zoo:NAME")
    fitting.add_argument("--backbone", required=True, metavar="NAME", help="e.g. resnet101")
    fitting.add_argument(
        "--rule",
        default="nearest",
        choices=list(RULES),
        help="nearest: a block takes the bit at the same relative place in its stage",
    )
    _add_outputs(fitting)
    fitting.set_defaults(run=run_fit)

    diff = commands.add_parser(
        "diff",
        help="compare two tickets",
        description="Exit code 0: the same network; 1: different networks; 3: the same network if "
        "the options that only one ticket gives are the attention's defaults.",
    )
    diff.add_argument("first", metavar="TICKET", help=_TICKET_HELP)
    diff.add_argument("second", metavar="TICKET", help="the same")
    diff.add_argument("--backbone", metavar="NAME", help=_BACKBONE_HELP)
    _add_json(diff)
    diff.set_defaults(run=run_diff)

    validate = commands.add_parser(
        "validate", help="check ticket files", description="Exit code 1 if any is bad."
    )
    validate.add_argument("tickets", metavar="FILE", nargs="+")
    _add_json(validate)
    validate.set_defaults(run=run_validate)

    pick = commands.add_parser("pick", help="choose another ticket from a search's Pareto front")
    pick.add_argument("work_dir", metavar="WORK_DIR", help="of a finished search")
    pick.add_argument(
        "--rule",
        required=True,
        help="best, knee, or a constraint: 'accuracy >= full - 0.3' picks the cheapest, "
        "'sparsity >= 0.5' the most accurate that satisfies it",
    )
    pick.add_argument("--out", metavar="FILE", required=True, help="write the ticket here")
    pick.set_defaults(run=run_pick)

    list_zoo = commands.add_parser("zoo", help="list the published tickets")
    _add_json(list_zoo)
    list_zoo.set_defaults(run=run_zoo)
    return parser


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backbone", metavar="NAME", help=_BACKBONE_HELP)
    parser.add_argument(
        "--sparsity", type=float, default=0.5, help="of random: share without attention (0.5)"
    )
    parser.add_argument("--seed", type=read_seed, default=0, help="of random (0)")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", choices=("bits", "decimal"), default="bits", help="what to print")
    parser.add_argument("--out", metavar="FILE", help="write a ticket file")
    parser.add_argument("--json", action="store_true", help="print the ticket file")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run_show(arguments: argparse.Namespace) -> int:
    ticket = _read(arguments)
    if arguments.json:
        _print_json(ticket_text.as_data(ticket))
        return 0
    print(ticket_text.description(ticket, cells=_cells(), color=_wants_color()))
    return 0


def run_convert(arguments: argparse.Namespace) -> int:
    options = ticket_source.parse_options(arguments.option) if arguments.option else None
    ticket = _read(
        arguments,
        attention=arguments.attention or "SE",
        attention_options=options or {},
        sharing=arguments.sharing or "stage",
    )
    ticket = ticket_source.carry(
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
    return _hand_over(ticket, arguments)


def run_fit(arguments: argparse.Namespace) -> int:
    ticket = fit(Ticket.load(arguments.ticket), arguments.backbone, arguments.rule)
    return _hand_over(ticket, arguments)


def _hand_over(ticket: Ticket, arguments: argparse.Namespace) -> int:
    if arguments.out:
        file = ticket.save(arguments.out)
        print(f"wrote {file}: {ticket_text.summary(ticket)}", file=sys.stderr)
    if arguments.json:
        print(_ascii(ticket.to_json()), end="")
    elif not arguments.out:
        print(ticket if arguments.to == "bits" else ticket.to_decimal())
    return 0


def run_diff(arguments: argparse.Namespace) -> int:
    first, second = (
        ticket_source.read_ticket(source, arguments.backbone)
        for source in (arguments.first, arguments.second)
    )
    difference = ticket_text.compare(first, second)
    if arguments.json:
        data = asdict(difference)
        if difference.blocks is not None:
            data["blocks"] = [block._asdict() for block in difference.blocks]
        _print_json(data)
    else:
        print(ticket_text.difference_text(first, second))
    return _DIFF_CODES[difference.same_network]


def run_validate(arguments: argparse.Namespace) -> int:
    results: list[dict[str, Any]] = []
    for path in arguments.tickets:
        try:
            ticket = Ticket.load(path)
        except TicketError as error:
            results.append({"path": path, "ok": False, "error": str(error)})
        else:
            results.append({"path": path, "ok": True, "id": ticket.id})
        if not arguments.json:
            line = results[-1].get("error") or f"{path}: ok ({ticket_text.summary(ticket)})"
            print(printable(line))
    if arguments.json:
        _print_json(results)
    return 0 if all(result["ok"] for result in results) else 1


def run_pick(arguments: argparse.Namespace) -> int:
    from ean_transfer.search.pareto import Pareto  # with torch, which the other commands spare

    folder = Path(arguments.work_dir)
    found = Ticket.load(folder / "ticket.json")
    point = Pareto.load(folder / "pareto.json").pick(arguments.rule)
    mask = [bit == "1" for bit in point.mask]
    ticket = found.with_mask(mask).replace(
        provenance={
            "picked_by": arguments.rule,
            "from_search_of": found.id,
            "accuracy": point.accuracy,
            "loss": point.loss,
            "search": found.provenance,
        }
    )
    file = ticket.save(arguments.out)
    print(f"wrote {file}: {ticket_text.summary(ticket)}, held-out accuracy {point.accuracy:.2f}")
    return 0


def run_zoo(arguments: argparse.Namespace) -> int:
    tickets = zoo()
    if arguments.json:
        _print_json(
            [
                {"name": f"zoo:{name}", "confirmed": not ticket_text.is_unconfirmed(ticket)}
                | ticket_text.as_data(ticket)
                for name, ticket in tickets.items()
            ]
        )
        return 0
    print(ticket_text.zoo_table(tickets))
    return 0


def _read(arguments: argparse.Namespace, **fields: Any) -> Ticket:
    return ticket_source.read_ticket(
        arguments.ticket,
        arguments.backbone,
        sparsity=arguments.sparsity,
        seed=arguments.seed,
        **fields,
    )


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2))


def _ascii(json_text: str) -> str:
    """JSON with all but ASCII escaped: a stranger's control characters do not reach a terminal."""
    return re.sub(r"[^\x00-\x7f]", lambda match: json.dumps(match[0])[1:-1], json_text)


def _cells() -> ticket_text.Cells:
    try:
        "".join(ticket_text.UNICODE_CELLS).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return ticket_text.ASCII_CELLS
    return ticket_text.UNICODE_CELLS


def _wants_color() -> bool:
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


if __name__ == "__main__":
    sys.exit(main())
