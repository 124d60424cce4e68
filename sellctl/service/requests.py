"""A request to the process that holds an account, as text: in a file of the state folder, or in a shared database."""

import json
from collections.abc import Mapping

import msgspec

from sellctl.core.errors import ConfigError
from sellctl.core.manual.proposed_overrides import check_change
from sellctl.core.manual.verb import Verb
from sellctl.core.model.position import OverrideChange
from sellctl.core.watching.manual_requests import CommandRequest, terms_document, terms_in
from sellctl.service.json_files import object_in


def document_of(request: CommandRequest) -> Mapping[str, object]:
    """Everything of a request but its id."""
    content: dict[str, object] = {
        "verb": request.verb.value,
        "symbol": request.symbol,
        "accounts": list(request.accounts),
        "by": request.by,
        **terms_document(request.terms),
    }
    if request.change is not None:
        content["change"] = msgspec.to_builtins(request.change)
    return content


def text_of(request: CommandRequest) -> str:
    """The same as text."""
    return json.dumps(document_of(request))


def request_in(text: str, number: str) -> CommandRequest:
    """The request in a text, with this id. ValueError when it holds none."""
    content = object_in(text)
    names, symbol, by = content.get("accounts"), content.get("symbol", ""), content.get("by", "")
    if not isinstance(names, list) or not all(isinstance(text, str) for text in (*names, symbol, by)):
        raise ValueError("its fields have the wrong types")
    verb, change = Verb(str(content.get("verb"))), content.get("change")
    if (verb is Verb.SET) is (change is None):
        raise ValueError("it has no change, or one that does not belong to it")
    wanted = None if change is None else _change_of(change)
    return CommandRequest(number, verb, symbol, tuple(names), by, terms_in(content), wanted)


def _change_of(content: object) -> OverrideChange:
    try:
        change = msgspec.convert(content, OverrideChange)
        check_change(change)
    except (msgspec.ValidationError, ConfigError) as error:
        raise ValueError(str(error)) from None
    return change
