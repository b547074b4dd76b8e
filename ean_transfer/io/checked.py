"""Checks of settings, records and arguments by their types, with errors of one line.

What a config or a file says is checked once, where it is constructed: by the fields of a
:class:`Checked` model, or by the annotations of a function under :func:`checked_arguments`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, validate_call

from ean_transfer.errors import ConfigError, EANError
from ean_transfer.io.terminal import shortened

Positive = Annotated[int, Field(ge=1)]
"""An integer of at least 1."""
Natural = Annotated[int, Field(ge=0)]
"""An integer of at least 0."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A number in [0, 1]."""
PositiveNumber = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
"""A finite number above 0."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class Checked(BaseModel):
    """Base of what a config or a file says: frozen, without unknown fields, without conversions.

    Attributes:
        what: Name of the whole in messages, e.g. ``"search.reward"``.
        error: Type of the error that is raised.

    Raises:
        ConfigError: A field is missing, unknown or of a wrong value; names it and what was found.
    """

    model_config = _STRICT

    what: ClassVar[str] = "settings"
    error: ClassVar[type[EANError]] = ConfigError

    def __init__(self, /, **data: Any) -> None:  # a file may hold a field named self
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise self.error(f"{self.what}: {first_problem(error)}") from None

    # Pydantic then does not call this __init__ for models within models or read from JSON, so that
    # errors there keep the whole path of the field, and JSON's lists may become tuples.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


def checked_arguments(function: _Function) -> _Function:
    """Check a function's arguments by their annotations, e.g. those of ``__init__``.

    Raises:
        ConfigError: The function was called with an argument that is missing, unknown or of a
            wrong value.
    """
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    validated = validate_call(config=config)(function)
    what = function.__qualname__.removesuffix(".__init__")
    names = list(inspect.signature(function).parameters)

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            return validated(*args, **kwargs)
        except ValidationError as error:
            raise ConfigError(f"{what}: {first_problem(error, names)}") from None

    return checked  # type: ignore[return-value]


def first_problem(error: ValidationError, names: Sequence[str] = ()) -> str:
    """One line for the first of pydantic's findings; the others usually follow from it.

    Args:
        error: The error that pydantic raised.
        names: Names of a function's arguments, because pydantic counts positional ones.
    """
    first = error.errors()[0]
    nested = first.get("ctx", {}).get("error")
    if isinstance(nested, ConfigError):  # raised by a validator: it names the value itself
        return str(nested)
    places = list(first["loc"])
    if places and names and isinstance(places[0], int):
        places[0] = names[places[0]]
    where, value = shortened(".".join(map(str, places))), first["input"]
    if where == "version" and first["type"] == "literal_error" and isinstance(value, int):
        known = first["ctx"]["expected"]
        return f"version {value}, but this ean-transfer reads version {known}: update ean-transfer"
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown field {where!r}"
    if first["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"field {where!r} is missing"
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if not where:
        return message
    return f"{where}: {message[0].lower()}{message[1:]}, found {value!r:.80}"
