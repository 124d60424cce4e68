"""The small JSON files of the state folder: written completely or not at all, and read if nobody else can write."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sellctl.core.errors import SellctlError
from sellctl.private_files import read_private, replace_private


def write(path: Path, content: Mapping[str, object], *, durable: bool = True) -> None:
    """Write a file completely or not at all. SellctlError when that fails."""
    try:
        replace_private(path, json.dumps(content).encode(), durable=durable)
    except OSError as error:
        raise SellctlError(f"{path} can't be written: {error.strerror}.", hint="Check the state folder.") from None


def read(path: Path) -> "dict[str, Any]":
    """The JSON object in a file; empty when it can't be read, or when others can have written it."""
    try:
        return object_in(read_private(path))
    except (OSError, ValueError):
        return {}


def content_of(path: Path, missing: "dict[str, Any]") -> "dict[str, Any]":
    """The JSON object in a file; `missing` without the file, an empty one where it is damaged.

    SellctlError when it can't be read.
    """
    try:
        return object_in(read_private(path))
    except FileNotFoundError:
        return missing
    except OSError as error:
        raise SellctlError(f"{path} can't be read: {error.strerror}.", hint="Check the state folder.") from None
    except ValueError:
        return {}


def object_in(text: str) -> "dict[str, Any]":
    """The JSON object in a text. ValueError when there is none."""
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  it is about the text's content
    return content
