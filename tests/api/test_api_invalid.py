"""A call whose parameters or body are invalid: one sentence that names the field, as every refusal is."""

import json
from typing import Any

import pytest
from api_stage import Api, Play

from sellctl.api import schemas

POSTED: list[tuple[str, Any, str]] = [
    ("/set", {"stop": 5, "symbol": "AAPL", "dry_run": True}, "stop is not valid: input should be a valid string."),
    ("/set", {"symbol": "AAPL", "stop": "5%"}, "Ask with dry_run true first, then confirm with the code"),
    ("/set", {"stop": "5%", "dry_run": True}, "symbol is missing."),
    (
        "/close",
        {"symbol": "AAPL", "dry_run": True, "patience": "none"},
        "patience is not valid: input should be 'profit'",
    ),
    ("/close", {"symbol": "A\x1b[2J", "dry_run": True}, "symbol is not valid: it is too long, or has characters"),
    ("/exempt", {}, "symbol is missing."),
    ("/exempt", {"symbol": "AAPL", "until": "f" * 41}, "until is not valid: string should have at most 40 characters."),
    (
        "/exempt",
        {"symbol": "AAPL", "\x1b[2J" + "x" * 99: 1},
        "\\x1b[2Jxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx is no field",
    ),
    ("/resume", {"reason": ""}, "reason is not valid"),
    ("/confirm", {}, "Give the code of the proposal first"),
    ("/halt", [1], "The body is not valid: "),
]
READ = [
    ("/history?limit=0", "limit is not valid: input should be greater than or equal to 1."),
    ("/trades?day=yesterday", "day is not valid: input should be a valid date"),
    ("/report?unknown=1", "unknown is no field of this call."),
    ("/explain", "symbol is missing."),
]


def check(answer: Any, says: str) -> None:
    assert answer.status == 422, answer.body
    schemas.Problem.model_validate(answer.document)
    detail = answer.document["detail"]
    assert detail.startswith(says)
    assert detail.endswith(" The OpenAPI document says what this call takes.")
    assert detail.isprintable()


@pytest.mark.parametrize(
    ("path", "body", "says"), POSTED, ids=[f"{path} {index}" for index, (path, *_) in enumerate(POSTED)]
)
def test_an_invalid_body_is_one_sentence_that_names_the_field(play: Play, path: str, body: Any, says: str) -> None:
    async def test(api: Api) -> None:
        check(await api.post(path, json.dumps(body).encode()), says)

    play(test)


def test_an_invalid_parameter_and_a_body_that_is_no_json_are_one_sentence(play: Play) -> None:
    async def test(api: Api) -> None:
        for path, says in READ:
            check(await api.get(path), says)
        check(await api.post("/exempt", b'{"symbol": '), "The body is not valid JSON.")
        check(await api.post("/exempt"), "The body is missing.")

    play(test)


def test_the_schema_says_that_an_invalid_call_is_answered_as_every_refusal(play: Play) -> None:
    async def test(api: Api) -> None:
        document = api.app.openapi()
        assert "HTTPValidationError" not in document["components"]["schemas"]
        for path, operations in document["paths"].items():
            for operation in operations.values():
                content = operation["responses"].get("422", {}).get("content", {})
                assert path == "/healthz" or content["application/json"]["schema"]["$ref"].endswith("/Problem"), path

    play(test)
