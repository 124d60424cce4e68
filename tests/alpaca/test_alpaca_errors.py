import json
import logging
import ssl
import traceback

import pytest
from alpaca_stand_in import (
    KEY,
    PATHS,
    SECRET,
    Answer,
    ReceivedRequest,
    StandIn,
    a_config,
    cancel,
    connected,
    look_up,
    read,
    submit,
)
from builders import replace
from hypothesis import given
from hypothesis import strategies as st

from sellctl.alpaca.connect import connect
from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.errors import (
    EXTERNAL_ERRORS,
    ErrorStatus,
    FeedNotGrantedError,
    Operation,
    RequestContext,
    map_error,
)
from sellctl.alpaca.transport import (
    ConnectError,
    ConnectTimeoutError,
    DisconnectedError,
    DnsError,
    InvalidHeaderError,
    InvalidUrlError,
    ProxyError,
    TlsError,
)
from sellctl.core.errors import (
    AuthError,
    BrokerError,
    NotFoundError,
    RateLimitedError,
    Refusal,
    RequestRejectedError,
    UnknownOutcomeError,
)

HTML = "<html><body>Bad gateway</body></html>"
INSUFFICIENT = {
    "available": "0",
    "code": 40310000,
    "existing_qty": "3",
    "held_for_orders": "3",
    "message": "insufficient qty available for order (requested: 1, available: 0)",
    "related_orders": ["uuid"],
    "symbol": "F",
}
WASH = {
    "code": 40310000,
    "existing_order_id": "uuid",
    "message": "potential wash trade detected. use complex orders",
    "reject_reason": "opposite side market/stop order exists",
}


UNREADABLE = (
    "",
    "null",
    HTML,
    "{}",
    '"text"',
    "[" * 50_000,
    '{"a": 1e999999999999999999999}',
    b"\xff\xfe\x00",
)


def refused(stand_in: StandIn, call: object, answer: Answer) -> Exception:
    """What a call makes of an answer, which must have cost exactly one request."""
    stand_in.on(PATHS[call], answer)
    with connected(stand_in.url) as adapters:
        error = call(adapters.brokers["a"])
    assert len(stand_in.requests) == 1
    assert str(error).startswith("a: ")
    assert "\n" not in str(error)
    return error


def said(code: int | str | None, message: str) -> dict:
    return {"message": message} if code is None else {"code": code, "message": message}


# --- what the broker says

ABOUT_THE_KEY = [
    (read, 401, said(None, "unauthorized.")),
    (read, 401, said(40110000, "request is not authorized")),
    (read, 401, HTML),
    (read, 401, ""),
    (read, 403, said(None, "forbidden.")),
    (read, 403, ""),
    (read, 403, said(40110000, "access key verification failed")),
    (submit, 401, said(None, "unauthorized.")),
    (submit, 403, said(None, "forbidden.")),
    (cancel, 401, said(40110000, "request is not authorized")),
]
REFUSALS = [
    # 403 40310000 stands for half a dozen reasons: fields and message tell
    (submit, 403, INSUFFICIENT, Refusal.INSUFFICIENT_QTY),
    (submit, 403, {**INSUFFICIENT, "message": "new words"}, Refusal.INSUFFICIENT_QTY),
    (submit, 403, said(None, "insufficient qty available for order"), Refusal.INSUFFICIENT_QTY),
    (submit, 403, WASH, Refusal.WASH_TRADE),
    (submit, 403, said(40310000, "account is not authorized to trade"), Refusal.ACCOUNT),
    (submit, 403, said(40310000, "new orders are rejected by user request"), Refusal.ACCOUNT),
    (submit, 403, said(40310000, "potential wash trade detected"), Refusal.WASH_TRADE),
    (submit, 403, said(40310000, "account not eligible to trade uncovered option contracts"), Refusal.UNCOVERED),
    (
        submit,
        403,
        said(40310000, "account not eligible to trade spreads or uncovered contracts"),
        Refusal.OPTIONS_LEVEL,
    ),
    (submit, 403, said(40310000, "insufficient buying power"), Refusal.OTHER),
    (submit, 403, said(40310100, "trade denied due to pattern day trading protection"), Refusal.OTHER),
    (submit, 422, said(42210000, "position intent mismatch, inferred: sell_to_open"), Refusal.INTENT_MISMATCH),
    (
        submit,
        422,
        said(42210000, "invalid limit_price 2.005. sub-penny increment does not fulfill minimum pricing criteria"),
        Refusal.PRICE_INCREMENT,
    ),
    (
        submit,
        422,
        said(42210000, "limit_price 1.18 must be a multiple of 0.05"),
        Refusal.PRICE_INCREMENT,
    ),
    (submit, 422, said(40010001, "client_order_id must be unique"), Refusal.DUPLICATE_ID),
    (submit, 422, said(40010001, "duplicate client_order_id: sellctl-1"), Refusal.DUPLICATE_ID),
    (submit, 422, said(42210000, "an order with this client order id already exists"), Refusal.DUPLICATE_ID),
    (submit, 409, said(40910000, "conflict"), Refusal.DUPLICATE_ID),
    # 40010001 is any malformed request, not only a second use of an id
    (submit, 422, said(40010001, "us_equity orders not allowed for account"), Refusal.OTHER),
    (submit, 422, said(40010001, "client_order_id must be no more than 128 characters"), Refusal.OTHER),
    (submit, 422, said("42210000", "qty must be integer"), Refusal.OTHER),
    (submit, 400, said(40010000, "bad request"), Refusal.OTHER),
    (cancel, 422, said(42210000, "order pending cancel"), Refusal.NOT_CANCELABLE),
    (cancel, 403, said(40310000, "insufficient qty"), Refusal.OTHER),
]
ABSENT = [
    (read, said(40410000, "position does not exist")),
    (read, said(None, "order not found")),
    (cancel, said(40410000, "order not found for id")),
]
IN_DOUBT = [
    *((submit, 422, body) for body in (HTML, "", "[]", "null", {"detail": "not Alpaca's words"})),
    *((submit, status, HTML) for status in (401, 403, 404, 409, 429)),
    (read, 403, HTML),
    (submit, 429, ""),
    (submit, 408, said(40810000, "request timeout")),
    # a 404 of a gateway on the way
    *((read, 404, body) for body in (HTML, said(None, "Not Found"), said(404, "/v2/orders was not found"))),
    *((call, status, HTML) for call in PATHS for status in (500, 502, 503, 504, 520)),
    *((call, 500, said(50010000, "internal server error")) for call in PATHS),
    *((call, status, "") for call in PATHS for status in (301, 302, 304, 307)),
    *((call, 200, body) for call in (read, submit) for body in UNREADABLE),
]


@pytest.mark.parametrize(("call", "status", "body"), ABOUT_THE_KEY)
def test_a_401_and_a_403_without_a_reason_are_about_the_key(
    stand_in: StandIn, call: object, status: int, body: object
) -> None:
    assert type(refused(stand_in, call, Answer(body, status))) is AuthError


@pytest.mark.parametrize(("call", "status", "body", "refusal"), REFUSALS)
def test_a_refusal_is_classified_by_its_next_step(
    stand_in: StandIn, call: object, status: int, body: object, refusal: Refusal
) -> None:
    error = refused(stand_in, call, Answer(body, status))
    assert type(error) is RequestRejectedError
    assert error.refusal is refusal


@pytest.mark.parametrize(("call", "body"), ABSENT)
def test_a_404_with_the_brokers_message_is_an_absence(stand_in: StandIn, call: object, body: object) -> None:
    assert type(refused(stand_in, call, Answer(body, 404))) is NotFoundError


@pytest.mark.parametrize("body", [said(None, "Not Found"), said(404, "no"), {"error": "x"}, {"detail": "Not Found"}])
def test_a_look_up_takes_any_404_in_json_for_an_absence(stand_in: StandIn, body: object) -> None:
    assert type(refused(stand_in, look_up, Answer(body, 404))) is NotFoundError


@pytest.mark.parametrize(
    "body",
    [{"code": 40410000, "message": "no such order"}, {"code": 42210000, "message": "order not found for sellctl-1"}],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_look_up_takes_an_absence_in_words_or_by_its_code_whatever_the_status(
    stand_in: StandIn, body: object, status: int
) -> None:
    assert type(refused(stand_in, look_up, Answer(body, status))) is NotFoundError


def test_a_look_up_that_is_refused_for_another_reason_is_no_absence(stand_in: StandIn) -> None:
    answer = Answer({"code": 42210000, "message": "client_order_id is too long"}, 422)
    assert type(refused(stand_in, look_up, answer)) is RequestRejectedError


def test_a_look_up_with_a_404_that_is_no_json_is_unknown(stand_in: StandIn) -> None:
    assert type(refused(stand_in, look_up, Answer(HTML, 404))) is UnknownOutcomeError


@pytest.mark.parametrize(("call", "status", "body"), IN_DOUBT)
def test_without_a_definite_answer_of_the_broker_the_outcome_is_unknown(
    stand_in: StandIn, call: object, status: int, body: object
) -> None:
    error = refused(stand_in, call, Answer(body, status))
    assert type(error) is UnknownOutcomeError
    assert error.is_refusal is (400 <= status < 500 and status != 408)


@pytest.mark.parametrize("body", [said(42910000, "slow down"), said(None, "too many requests.")])
@pytest.mark.parametrize("call", PATHS)
def test_a_429_with_the_brokers_message_is_a_refusal(stand_in: StandIn, call: object, body: object) -> None:
    assert type(refused(stand_in, call, Answer(body, 429))) is RateLimitedError


def test_a_refusal_keeps_what_the_broker_said(stand_in: StandIn) -> None:
    error = refused(stand_in, submit, Answer(INSUFFICIENT, 403))
    assert isinstance(error, RequestRejectedError)
    assert (error.answer.status, error.answer.code) == (403, 40310000)
    assert error.answer.message == INSUFFICIENT["message"]
    assert error.answer.fields["held_for_orders"] == "3"


@pytest.mark.parametrize(
    ("headers", "reset"),
    [
        ({"X-RateLimit-Reset": "1763650000"}, 1763650000),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"X-RateLimit-Reset": "soon"}, None),
    ],
)
def test_a_429_with_the_brokers_headers_is_a_refusal(stand_in: StandIn, headers: dict, reset: float | None) -> None:
    error = refused(stand_in, submit, Answer(HTML, 429, headers))
    assert isinstance(error, RateLimitedError)
    assert error.retry_at_epoch == reset


@pytest.mark.parametrize(
    "message", ["subscription does not permit querying recent SIP data", "OPRA agreement is not signed"]
)
def test_a_feed_that_is_not_granted_is_no_bad_key(stand_in: StandIn, message: str) -> None:
    assert isinstance(refused(stand_in, read, Answer({"message": message}, 403)), FeedNotGrantedError)


def test_foreign_text_can_not_break_a_line_or_color_a_terminal(stand_in: StandIn) -> None:
    error = refused(stand_in, read, Answer({"code": 42210000, "message": "a\n\x1b[31mb" + "c" * 1000}, 422))
    assert "\x1b" not in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 400


# --- every foreign error has a place in our tree


def kinds(of: type[Exception]) -> set[type[Exception]]:
    return {of}.union(*(kinds(sub) for sub in of.__subclasses__()))


FOREIGN = sorted(
    kinds(json.JSONDecodeError)
    | kinds(ssl.SSLError)
    | kinds(UnreadableError)
    | {each for each in kinds(OSError) if each.__module__ in {"builtins", "socket", "sellctl.alpaca.transport"}}
    | {each for each in kinds(ValueError) if each.__module__ in {"builtins", "sellctl.alpaca.transport"}},
    key=lambda each: f"{each.__module__}.{each.__qualname__}",
)
CONTEXT = RequestContext("main", "host", "reading the positions", Operation.READ, (SECRET,))


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda each: each.__name__)
@pytest.mark.parametrize("operation", Operation)
def test_every_foreign_error_is_caught_and_mapped(kind: type[Exception], operation: Operation) -> None:
    foreign = kind.__new__(kind, "text")
    Exception.__init__(foreign, "text with " + SECRET)
    error = map_error(foreign, replace(CONTEXT, operation=operation))
    assert isinstance(foreign, EXTERNAL_ERRORS)
    assert isinstance(error, UnknownOutcomeError)
    assert str(error).startswith("main: reading the positions failed: ")
    assert SECRET not in str(error)


SENTENCES = [
    (ConnectTimeoutError(), "the connection to host timed out"),
    (TimeoutError(), "host did not answer in time"),
    (DnsError(), "the host name host can't be resolved"),
    (ConnectError(), "host can't be reached"),
    (ConnectionResetError(), "host closed the connection"),
    (DisconnectedError(), "host closed the connection"),
    (TlsError(), "host has no trusted certificate"),
    (ProxyError(), "the proxy did not connect to host"),
    (InvalidUrlError(), "host is not a valid address"),
    (InvalidHeaderError(SECRET), "the key has characters that can't be sent"),
    (UnreadableError("it is not JSON"), "host sent an unusable answer: it is not JSON"),
]


@pytest.mark.parametrize(("foreign", "sentence"), SENTENCES)
def test_a_request_without_an_answer_is_told_in_plain_language(foreign: Exception, sentence: str) -> None:
    assert str(map_error(foreign, CONTEXT)).startswith(f"main: reading the positions failed: {sentence}.")


@given(st.integers(100, 599), st.text(max_size=80) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")))
def test_any_answer_at_all_becomes_an_error_of_ours(status: int, text: str) -> None:
    for operation in Operation:
        error = map_error(ErrorStatus(status, {}, text), replace(CONTEXT, operation=operation))
        assert isinstance(error, BrokerError)


@given(
    st.dictionaries(
        st.sampled_from(["code", "message", "x"]), st.none() | st.integers() | st.text() | st.lists(st.text())
    ),
    st.sampled_from([401, 403, 404, 409, 422, 429, 500]),
)
def test_any_json_at_all_becomes_an_error_of_ours(body: dict, status: int) -> None:
    test_any_answer_at_all_becomes_an_error_of_ours.hypothesis.inner_test(status, json.dumps(body))


# --- secrets


def everything_in(error: BaseException) -> str:
    """The text of an error, its parts, and every error that hangs on it, whether shown or not."""
    texts, queue = [], [error]
    while queue:
        each = queue.pop()
        texts += [str(each), repr(each), repr(vars(each)), "".join(traceback.format_exception(each))]
        texts += [repr(vars(value)) for value in vars(each).values() if hasattr(value, "__dict__")]
        queue += [more for more in (each.__cause__, each.__context__) if more is not None]
    return "\n".join(texts)


def echo(request: ReceivedRequest) -> Answer:
    """A server that says everything back that it was told, key and all."""
    return Answer({"code": 42210000, "message": str(request.headers), "headers": request.headers}, 422)


LEAKY = {
    "401": Answer(status=401),
    "page": Answer(HTML, 502),
    "redirect": Answer("", 302, {"Location": f"http://x/{SECRET}a"}),
    "echo": echo,
    "reset": Answer(reset=True),
    "html": Answer(f"<{SECRET}a>"),
}


@pytest.mark.parametrize("answer", LEAKY.values(), ids=LEAKY)
@pytest.mark.parametrize("call", PATHS)
def test_no_error_and_no_log_carries_a_secret(
    stand_in: StandIn, caplog: pytest.LogCaptureFixture, call: object, answer: object
) -> None:
    caplog.set_level(logging.DEBUG)
    stand_in.on(PATHS[call], answer)
    with connected(stand_in.url) as adapters:
        error = call(adapters.brokers["a"])
        assert KEY not in repr(adapters)
        assert SECRET not in repr(adapters)
    assert isinstance(error, BrokerError)
    assert KEY not in everything_in(error)
    assert SECRET not in everything_in(error)
    assert KEY not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("stray", ["\n", "\u2028", "é\u4e00"])
def test_a_key_with_stray_characters_is_told_without_showing_it(stand_in: StandIn, stray: str) -> None:
    stand_in.on("/v2/positions", Answer([]))
    config = a_config(stand_in.url)
    account = replace(config.accounts["a"], secret_key=f"{SECRET}{stray}x")
    adapters = connect(replace(config, accounts={"a": account}))
    error = read(adapters.brokers["a"])
    adapters.close()
    assert "stray characters" in str(error)
    assert SECRET not in everything_in(error)
    assert stand_in.requests == []
