"""Each error has its own remedy, and the verdict names the one thing to do next."""

import pytest

from sellctl.core.errors import (
    AuthError,
    BrokerAnswer,
    BrokerError,
    FailureKind,
    RateLimitedError,
    RequestRejectedError,
    UnknownOutcomeError,
)
from sellctl.core.exit_codes import ExitCode
from sellctl.service.diagnosis import CheckResult, CheckState, bad, not_checked, ok, remedy_of, verdict_on

REFUSED = bad("account main", AuthError("main: refused."), "correct the key")
UNREACHABLE = bad("stock quotes", BrokerError("main: can't be reached."), "check the network")
WRONG_CLOCK = CheckResult(CheckState.BAD, "clock", "it is wrong", "set the clock")
WRONG_FILE = CheckResult(CheckState.BAD, "structures", "a leg is missing", "correct it", ExitCode.USAGE)
HALTED = CheckResult(CheckState.WARN, "halt", "halted", "lift the halt", is_next=True)
START = "sellctl watch"


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind is not FailureKind.OTHER])
def test_every_kind_of_failure_has_a_remedy_of_its_own(kind: FailureKind) -> None:
    remedies = {each: remedy_of(UnknownOutcomeError("x.", kind=each)) for each in FailureKind}
    assert list(remedies.values()).count(remedies[kind]) == 1
    assert "subscription" not in remedies[kind]
    assert "api_key" not in remedies[kind]


def test_only_a_refusal_of_quotes_is_a_matter_of_the_subscription() -> None:
    answer = BrokerAnswer(403, None, "subscription does not permit querying recent OPRA data")
    refusal = RequestRejectedError("x.", answer=answer)
    assert "subscription" in remedy_of(refusal, "market data")
    assert "subscription" not in remedy_of(refusal)
    assert "wait a minute" in remedy_of(RateLimitedError("x.", answer=answer), "market data")


def test_a_refused_key_is_named_with_its_origin() -> None:
    assert "(config.yml:4)" in remedy_of(AuthError("x."), "config.yml:4")


@pytest.mark.parametrize(
    ("results", "line", "code"),
    [
        ([], "READY. Next: sellctl watch", ExitCode.OK),
        ([ok("clock", "fine"), not_checked("streams", "no account")], "READY. Next: sellctl watch", ExitCode.OK),
        ([HALTED], "READY. Next: lift the halt", ExitCode.OK),
        ([WRONG_CLOCK, HALTED], "NOT READY. Next: clock: set the clock", ExitCode.FAILED),
        ([WRONG_CLOCK, REFUSED], "NOT READY. Next: account main: correct the key", ExitCode.AUTH),
        ([UNREACHABLE, WRONG_CLOCK], "NOT READY. Next: stock quotes: check the network", ExitCode.FAILED),
        ([WRONG_FILE], "NOT READY. Next: structures: correct it", ExitCode.USAGE),
        ([WRONG_FILE, WRONG_CLOCK], "NOT READY. Next: structures: correct it", ExitCode.FAILED),
    ],
)
def test_the_verdict_is_on_all_results(results: list[CheckResult], line: str, code: ExitCode) -> None:
    verdict = verdict_on(results, START)
    assert (verdict.line, verdict.code) == (line, code)
