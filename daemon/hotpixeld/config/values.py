"""What all sections of the configuration share: the kinds of values they hold.

A validator's message completes "KEY ..." and is followed by ", not VALUE"
(`config.load` puts them together).
"""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    InstanceOf,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError

MOMENT = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?"
DAYS = r"([1-9]\d{0,4}) days?"
MAX_EXTENT = 65_535  # of a JPEG: two bytes in its frame header


def moment(value: object) -> dt.datetime:
    """Return the moment that a date with or without a time of day names.

    Raises
    ------
    ValueError
        It is none, or it names a time zone: a camera's clock has none.
    """
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, str) and re.fullmatch(MOMENT, value):
        try:
            return dt.datetime.fromisoformat(value)
        except ValueError:  # the 31st of February
            pass
    raise ValueError(
        "must be a date such as 2009-05-01 or 2009-05-01T14:30:00, local time"
    )


def days(value: object) -> dt.timedelta:
    """Return the time that a number of days names.

    >>> days("365 days")
    datetime.timedelta(days=365)

    Raises
    ------
    ValueError
        It names none, or none at all.
    """
    if isinstance(value, dt.timedelta):
        return value
    match = re.fullmatch(DAYS, value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a number of days such as 365 days")
    return dt.timedelta(days=int(match[1]))


def _path(value: object) -> Path:
    """Return a path with ``~`` expanded: the home of whoever runs hotpixeld."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    if not value or "\0" in value:
        raise ValueError("must be a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("must start with the ~ of a user who has a home") from None


def _resolved(value: object, info: ValidationInfo) -> Path:
    """Return an absolute path; a relative one starts at the file it came from."""
    base = info.context["base"] if info.context else Path.cwd()
    return Path(os.path.abspath(base / _path(value)))  # noqa: PTH100 - Path keeps ".."


def _size(value: object) -> object:
    if isinstance(value, tuple) and len(value) == 2:
        return value
    raise ValueError("must be [width, height] in stored pixels")


@dataclass(frozen=True, slots=True, eq=False)  # hashed by typing; a dict is not
class Also:
    """Mark, in the JSON Schema, a second way to write a value."""

    schema: dict[str, Any]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the schema of either way; pydantic calls this."""
        return {"anyOf": [self.schema, handler(core_schema)]}


# An editor reads YAML 1.2, where 200_000_000 is text.
Count = Annotated[int, Also({"type": "string", "pattern": "^[0-9]{1,3}(_[0-9]{3})+$"})]
MOMENT_SCHEMA = {"type": "string", "pattern": f"^{MOMENT}$"}
Moment = Annotated[dt.datetime, BeforeValidator(moment), WithJsonSchema(MOMENT_SCHEMA)]
Days = Annotated[
    dt.timedelta,
    BeforeValidator(days),
    WithJsonSchema({"type": "string", "pattern": f"^{DAYS}$"}),
]
RawPath = Annotated[
    InstanceOf[Path],
    BeforeValidator(_path),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
Resolved = Annotated[
    InstanceOf[Path],
    BeforeValidator(_resolved),
    WithJsonSchema({"type": "string", "minLength": 1}),  # pydantic 2.8 writes into it
]
Extent = Annotated[int, Field(ge=1, le=MAX_EXTENT)]
Size = Annotated[tuple[Extent, Extent], BeforeValidator(_size)]


class Model(BaseModel):
    """What all sections share: no unknown keys, no conversions, no changes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _take_defaults_for_empty_keys(cls, value: object) -> object:
        if isinstance(value, dict):
            return {key: part for key, part in value.items() if part is not None}
        return value
