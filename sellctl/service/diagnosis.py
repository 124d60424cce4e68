"""The result of one check of `sellctl doctor`, the remedy for each error, and the verdict on all results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sellctl.core.errors import (
    AuthError,
    FailureKind,
    RateLimitedError,
    RequestRejectedError,
    SellctlError,
    UnknownOutcomeError,
)
from sellctl.core.exit_codes import ExitCode


class CheckState(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WARN = "warning"
    BAD = "bad"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report.

    `remedy` is "" when nothing is to be done, and `code` the exit status of a bad check. `is_next` marks a warning
    whose remedy comes before watching.
    """

    state: CheckState
    check: str
    finding: str
    remedy: str = ""
    code: ExitCode = ExitCode.FAILED
    is_next: bool = False

    @property
    def row(self) -> tuple[str, str, str, str]:
        """The cells of the table."""
        return (self.state.value, self.check, self.finding, self.remedy)


def ok(check: str, finding: str) -> CheckResult:
    """A check that needs no action."""
    return CheckResult(CheckState.OK, check, finding)


def not_checked(check: str, why: str) -> CheckResult:
    """A check that was not made, because another one has failed."""
    return CheckResult(CheckState.NOT_CHECKED, check, why)


def bad(check: str, error: SellctlError, remedy: str) -> CheckResult:
    """A check that ended in an error."""
    return CheckResult(CheckState.BAD, check, error.sentence, remedy, error.exit_code)


_AGAIN = "the key was not refused; run sellctl doctor again in a minute"
_REMEDIES: Mapping[FailureKind, str] = {
    FailureKind.DNS: "connect this machine to the network, or correct its name server (DNS)",
    FailureKind.CONNECT: "check the network and firewall, and endpoints (a simulator has to run: sellctl sim)",
    FailureKind.CONNECT_TIMEOUT: "check the network and firewall",
    FailureKind.PROXY: "correct HTTPS_PROXY, or name the host in NO_PROXY",
    FailureKind.TLS: "check this machine's date, and what intercepts TLS (REQUESTS_CA_BUNDLE names its certificate)",
    FailureKind.TIMEOUT: f"Alpaca or the network is slow: {_AGAIN}",
    FailureKind.DISCONNECTED: f"the connection broke: {_AGAIN}",
    FailureKind.SERVER: f"the broker's servers fail: {_AGAIN}",
    FailureKind.GATEWAY: "a gateway or proxy refuses the request, not Alpaca: check the network and HTTPS_PROXY",
}
_MARKET_DATA = "market data"


def remedy_of(error: SellctlError, key: str = "") -> str:
    """The one thing to do about an error. `key` says where the key came from, or "market data" for quotes."""
    if isinstance(error, AuthError):
        where = f" ({key})" if key and key != _MARKET_DATA else ""
        return f"correct api_key and secret_key{where}: paper and live have different keys"
    if isinstance(error, UnknownOutcomeError):
        return _REMEDIES.get(error.kind) or error.hint or "check endpoints: something else than Alpaca may answer"
    if isinstance(error, RateLimitedError):
        return "wait a minute, and run sellctl doctor again"
    if isinstance(error, RequestRejectedError) and key == _MARKET_DATA:
        return "check the data subscription of the key"
    return error.hint or "see the sentence; sellctl --debug doctor logs more"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether watching can begin, the one thing to do next, and the exit status."""

    is_ready: bool
    next_step: str
    code: ExitCode

    @property
    def line(self) -> str:
        """The last line of the report."""
        return f"READY. Next: {self.next_step}" if self.is_ready else f"NOT READY. Next: {self.next_step}"


def verdict_on(results: Sequence[CheckResult], start: str) -> Verdict:
    """The verdict on all results. `start` is what to do when nothing is wrong.

    A refused key is named before anything else, because a network that is down refuses none.
    """
    failed = [result for result in results if result.state is CheckState.BAD]
    if not failed:
        first = next((result for result in results if result.is_next), None)
        return Verdict(is_ready=True, next_step=first.remedy if first else start, code=ExitCode.OK)
    worst = min(failed, key=lambda result: result.code is not ExitCode.AUTH)
    return Verdict(is_ready=False, next_step=f"{worst.check}: {worst.remedy}", code=_code_of(failed))


def _code_of(failed: Sequence[CheckResult]) -> ExitCode:
    """AUTH when a key is refused, USAGE when only the configuration is wrong, else FAILED."""
    codes = {result.code for result in failed}
    if ExitCode.AUTH in codes:
        return ExitCode.AUTH
    return ExitCode.USAGE if codes == {ExitCode.USAGE} else ExitCode.FAILED
