"""`sellctl notify test`: one notification to every recipient, to see that it arrives."""

from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import AccountCommand, FormatOption, options_of, print_outdated, say
from sellctl.core.errors import ConfigError
from sellctl.core.exit_codes import ExitCode
from sellctl.core.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sellctl.core.config.schema import Config, NotificationKind
    from sellctl.ui.formatting import Cell

notify_app = typer.Typer(no_args_is_help=True, help="Try the notifications.")
COLUMNS = ("recipient", "service", "kinds", "result")


@notify_app.callback()
def notify() -> None:
    """Try the notifications."""


@notify_app.command("test", cls=AccountCommand)
def try_recipients(
    context: typer.Context,
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="<kind>", help="Only to the recipients of this kind, e.g. filled."),
    ] = None,
    heartbeat: Annotated[bool, typer.Option("--heartbeat", help="Also request watch.heartbeat once.")] = False,
    output: FormatOption = None,
) -> None:
    """Send a marked test notification to every recipient.

    Prints for each whether it arrived, without its address, which may be secret. Exit status: 0 all arrived, 1 at least
    one did not, 2 nothing is configured.
    """
    from sellctl.bootstrap import load, state_of
    from sellctl.service.notifier import check_recipients, send_heartbeat, send_test
    from sellctl.ui.render import JSON_VERSION, emit

    options = options_of(context)
    loaded = load(options, notifies=True)
    config = loaded.config
    wanted = _kind_of(kind)
    _check(config, wanted, heartbeat=heartbeat)
    check_recipients(config)
    sent = [(f"notify[{index}]", *_described(config, index), arrived) for index, arrived in send_test(config, wanted)]
    if heartbeat:
        sent.append(("watch.heartbeat", "web address", "", send_heartbeat(config)))
    rows = [(*named, _result_cell(arrived=arrived)) for *named, arrived in sent]
    documents = [dict(zip(("recipient", "service", "kinds", "arrived"), each, strict=True)) for each in sent]
    emit(COLUMNS, rows, output, title="Test notifications", document={"version": JSON_VERSION, "recipients": documents})
    print_outdated(state_of(options, loaded), loaded)
    if not all(arrived for *_, arrived in sent):
        say("What did not arrive was refused, or its service can't be reached.")
        raise typer.Exit(ExitCode.FAILED)


def _kind_of(text: str | None) -> "NotificationKind | None":
    """The kind that is called so. ConfigError when none is."""
    from sellctl.core.config.schema import NotificationKind

    kinds = [kind.value for kind in NotificationKind]
    if text is None:
        return None
    if text not in kinds:
        hint = did_you_mean(text, kinds) or f"There are: {', '.join(kinds)}."
        raise ConfigError(f"--kind {ascii(text[:40])[1:-1]} is no kind of notification.", hint=hint)
    return NotificationKind(text)


def _check(config: "Config", kind: "NotificationKind | None", *, heartbeat: bool) -> None:
    """ConfigError when nothing is configured that could be tried."""
    if heartbeat and not config.watch.heartbeat:
        raise ConfigError("watch.heartbeat is not configured.", hint="Leave out --heartbeat, or add the key.")
    if not config.notify and not heartbeat:
        raise ConfigError("No recipient of notifications is configured.", hint="Add the key notify.")
    if kind and not _of_kind(config, kind):
        raise ConfigError(f"No recipient gets notifications of the kind {kind.value}.", hint="See the key notify.")


def _of_kind(config: "Config", kind: "NotificationKind") -> bool:
    return any(kind in entry.kinds for entry in config.notify)


def _described(config: "Config", index: int) -> tuple[str, str]:
    """The service of a recipient, by the scheme of its address, and its kinds. The rest of the address is secret."""
    entry = config.notify[index]
    kinds: Iterable[str] = (kind.value for kind in entry.kinds)
    service, joiner, _ = entry.url.partition("://")
    return service if joiner else "", ", ".join(kinds)


def _result_cell(*, arrived: bool) -> "Cell":
    from sellctl.ui.formatting import Cell, Tone

    text = "arrived" if arrived else "did not arrive"
    return Cell(text, text, Tone.GOOD if arrived else Tone.BAD)
