"""The Typer app: global options, registration of the commands, and the exit statuses of errors."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sellctl import __version__
from sellctl.commands import (
    cancel_stale,
    close,
    confirm,
    demo,
    doctor,
    exempt,
    explain,
    fleet,
    halt,
    history,
    init,
    mcp,
    panic,
    positions,
    report,
    run_once,
    serve,
    set_rules,
    sim,
    strategies,
    trades,
    watch,
)
from sellctl.commands.config import config_app
from sellctl.commands.journal import journal_app
from sellctl.commands.notify import notify_app
from sellctl.commands.session import AccountCommand, Command
from sellctl.commands.token import token_app
from sellctl.core.errors import SellctlError
from sellctl.service.log_format import LOG_FORMAT, LogFormat
from sellctl.service.options import Options, given_path, global_options_first


class _Program(TyperGroup):
    """The command group. Global options are accepted anywhere on the command line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, global_options_first(args))

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Where the log is JSON, a SellctlError is a line of it."""
        try:
            return super().invoke(ctx)
        except SellctlError as error:
            if LOG_FORMAT.get() is not LogFormat.JSON:
                raise
            from sellctl.service.logs import log_sentence

            log_sentence(_text_of(error), "ERROR")
            raise typer.Exit(error.exit_code) from None


app = typer.Typer(
    name="sellctl",
    cls=_Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: sellctl demo\n\nComplete accounts, symbols and reasons with Tab: "
    "sellctl --install-completion\n\nExit status: 0 ok, 1 runtime or broker, 2 usage or config, 3 authentication, "
    "4 partly failed, 5 refused by a safety rule, 6 another instance, 10 exits due (--detailed-exitcode), "
    "130 interrupted.",
)

on_accounts = partial(app.command, cls=AccountCommand)
without_accounts = partial(app.command, cls=Command)

without_accounts("init", epilog="Without questions: sellctl init --preset long-options --yes")(init.init)
on_accounts("watch", epilog="Try: sellctl watch --dry-run")(watch.watch)
on_accounts("run-once", epilog="From cron: sellctl run-once --if-busy skip")(run_once.run_once)
on_accounts("positions", epilog="Try: sellctl positions AAPL261218C00230000")(positions.positions)
on_accounts("explain", epilog="Try: sellctl explain AAPL261218C00230000")(explain.explain)
on_accounts("close", epilog="Preview: sellctl close AAPL261218C00230000 --dry-run")(close.close)
on_accounts("set", epilog="Preview: sellctl set AAPL261218C00230000 --stop 25% --dry-run")(set_rules.set_rules)
on_accounts("confirm", epilog="After an assistant's proposal: sellctl confirm 4QF7-0KMD-9XTA")(confirm.confirm)
on_accounts("cancel-stale", epilog="Preview: sellctl cancel-stale --dry-run")(cancel_stale.cancel_stale)
on_accounts("halt", epilog='Try: sellctl halt --reason "earnings tonight"')(halt.halt)
on_accounts("resume", epilog='Try: sellctl resume --reason "earnings are out"')(halt.resume)
on_accounts("fleet", epilog="For programs: sellctl fleet --format json")(fleet.fleet)
on_accounts("panic", epilog="Preview: sellctl panic --dry-run")(panic.panic)
on_accounts("doctor", epilog="Before the first day: sellctl doctor")(doctor.doctor)
on_accounts("exempt", epilog="Try: sellctl exempt TSLA")(exempt.exempt)
on_accounts("manage", epilog="Try: sellctl manage TSLA")(exempt.manage)
without_accounts("strategies", epilog="Try: sellctl strategies --precedence")(strategies.strategies)
on_accounts("history", epilog="Try: sellctl history --reason stop_loss")(history.history)
on_accounts("trades", epilog="Try: sellctl trades --since 2025-08-01")(trades.trades)
on_accounts("report", epilog="With plots: sellctl report --html report.html")(report.report)
app.add_typer(journal_app, name="journal")
app.add_typer(config_app, name="config")
without_accounts("demo", epilog="Slower: sellctl demo --speed 60")(demo.demo)
without_accounts("sim", epilog="Then, in another terminal: sellctl --config sellctl-sim.yml positions")(sim.sim)
on_accounts("serve", epilog="First: export SELLCTL_API_SECRET=$(sellctl token secret)")(serve.serve)
app.add_typer(notify_app, name="notify")
app.add_typer(token_app, name="token")
on_accounts("mcp", epilog="With proposals: sellctl mcp --allow act")(mcp.mcp)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sellctl {__version__}")
        raise typer.Exit


@app.callback()
def main_options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar="SELLCTL_CONFIG",
            help="Configuration file. Default: ./config.yml, then your configuration folder.",
        ),
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(envvar="SELLCTL_STATE_DIR", help="Folder for the journal, locks and the halt flag.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", envvar="SELLCTL_LIVE", help="Allow orders with real money.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Log more details on stderr.")] = False,
    log_file: Annotated[Path | None, typer.Option(help="Also log to this file.")] = None,
    log_format: Annotated[
        LogFormat, typer.Option(metavar="<format>", help="text, or json: one object per line, also for errors.")
    ] = LogFormat.TEXT,
    _version: Annotated[
        bool | None, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = None,
) -> None:
    """sellctl, the exit manager for Alpaca accounts: you open positions, it closes them by your rules."""
    config, state_dir = given_path(context, "config", config), given_path(context, "state_dir", state_dir)
    context.obj = Options(config, state_dir, live=live, debug=debug, log_file=log_file, log_format=log_format)
    LOG_FORMAT.set(log_format)
    if log_format is LogFormat.JSON:
        from sellctl.service.logs import configure

        configure(debug, log_file, log_format=log_format)


def _text_of(error: SellctlError) -> str:
    from sellctl.ui.formatting import sanitize

    return "\n".join(map(sanitize, f"sellctl: {error}".split("\n")))  # it may have a text of somebody else in it


def main() -> None:
    """Run the program. A SellctlError is printed on stderr and sets the exit status."""
    try:
        app()
    except SellctlError as error:
        from sellctl.ui.sentences import for_terminal

        typer.echo(for_terminal(_text_of(error)), err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
