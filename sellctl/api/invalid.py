"""What is wrong with the parameters or the body of a call, as one sentence that names the field."""

from collections.abc import Mapping, Sequence
from typing import Any

from sellctl.ui.formatting import sanitize

_HINT = "The OpenAPI document says what this call takes."
_LONGEST_NAME = 40  # characters that are shown of a name that the caller gave
_LONGEST = 200  # characters of what is wrong


def sentence_of(errors: Sequence[Mapping[str, Any]]) -> str:
    """The first of FastAPI's errors of a call as a sentence, with what to do. It holds no value that was given."""
    return f"{_sentence(errors[0]) if errors else 'The request is not valid.'} {_HINT}"


def _sentence(error: Mapping[str, Any]) -> str:
    place, *inside = error["loc"]
    name = _shown(".".join(map(str, inside)))
    if error["type"] == "json_invalid":
        return "The body is not valid JSON."
    if error["type"] == "value_error" and not inside:  # a sentence of ours on the whole body, which names its fields
        return f"{_message(error)}."
    if error["type"] == "missing":
        return f"{name or f'The {place}'} is missing."
    if error["type"] == "extra_forbidden":
        return f"{name} is no field of this call."
    return f"{name or f'The {place}'} is not valid: {_what(error)}."


def _what(error: Mapping[str, Any]) -> str:
    """What is wrong, without the pattern that a text has to match: that explains nothing."""
    if error["type"] == "string_pattern_mismatch":
        return "it is too long, or has characters that it can't have"
    message = _message(error)
    return f"{message[:1].lower()}{message[1:]}"


def _message(error: Mapping[str, Any]) -> str:
    return sanitize(str(error["msg"]).removeprefix("Value error, ").rstrip("."))[:_LONGEST]


def _shown(name: str) -> str:
    return sanitize(name[:_LONGEST_NAME])
