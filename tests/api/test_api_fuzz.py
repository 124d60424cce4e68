"""Random requests generated from the OpenAPI document: no server error, and every response as documented."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from api_stage import TARGET, a_token
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import one_of
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks
from served import Served, serving

from sellctl.api import sell_router

APPLICATION = FastAPI()
APPLICATION.include_router(sell_router, prefix="/api/v1")
ENDLESS = "/events$"  # it answers for as long as the token lives
SCHEMA = schemathesis.openapi.from_dict(APPLICATION.openapi()).exclude(path_regex=ENDLESS)
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
RANDOM = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.status_code_conformance,
]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    rules = "sell_module: {check_interval: 1s}\napi: {requests_a_second: 10000}\n"
    with serving(tmp_path_factory.mktemp("fuzz"), TARGET, rules) as served:
        yield served
        assert served.process.poll() is None, "the process has ended"
        status, document = served.ask("GET", "/api/v1/sell/status", a_token())
        assert (status, document["fault"]) == (200, "")


def modes_of(operation: Any) -> list[GenerationMode]:
    """What fits the document; and what doesn't, where there is something to get wrong."""
    takes_something = bool(list(operation.query)) or bool(list(operation.body))
    return [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes_something else [])]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
def test_no_request_made_from_the_document_breaks_the_server(operation: Any, fuzzed: Served) -> None:
    headers = {"Authorization": f"Bearer {a_token()}"}

    @RANDOM
    @given(case=one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes_of(operation))))
    def each(case: schemathesis.Case) -> None:
        answer = case.call(base_url=f"http://127.0.0.1:{fuzzed.port}", headers=headers, timeout=20)
        case.validate_response(answer, checks=CHECKS)

    each()
