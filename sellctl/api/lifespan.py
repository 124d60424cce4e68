"""The services of an application that includes the router: built from the configuration, started and stopped."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sellctl.api.access import Access
from sellctl.api.audit import EVERY_SECONDS, Audit
from sellctl.api.control import Control
from sellctl.api.events import EventHub
from sellctl.api.guarded import Gate
from sellctl.api.throttle import Throttle
from sellctl.api.tokens import check_secret
from sellctl.bootstrap import RunOptions
from sellctl.chat.service import Chat, chat_of
from sellctl.core.config_manager import ConfigManager, LoadedConfig
from sellctl.core.errors import SafetyRefusalError
from sellctl.core.model.account_state import RunMode
from sellctl.service.hosts import SharedHalt
from sellctl.service.notifier import Notifier
from sellctl.service.observing import observe
from sellctl.service.options import Options
from sellctl.service.reload import reload
from sellctl.service.systemd import reloading, sd_notify
from sellctl.service.verbs import Verbs

if TYPE_CHECKING:
    from fastapi import FastAPI

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.event import Event

RUN_OPTIONS = RunOptions("serve", RunMode.ACT, streams=True, observed=True, serves_metrics=True)
OBSERVING = RunOptions("serve --observe", RunMode.DRY_RUN, observes=True)  # beside hosts: it holds no lease
_YES = frozenset({"1", "true", "yes", "on", "t", "y"})


@dataclass(slots=True)
class ApiServices:
    """A control and the gate in front of it, assembled but not running yet."""

    control: Control
    gate: Gate
    reload: Callable[[], Coroutine[object, object, None]]  # reloads the configuration; called on SIGHUP
    notifier: Notifier
    chat: Chat | None = None

    def close(self) -> None:
        """Close files and connections, release locks, and deliver the last notifications."""
        self.control.runtime.close()
        self.notifier.close()
        if self.chat:
            self.chat.close()


def load(options: Options) -> LoadedConfig:
    """The configuration with the API's secret. SafetyRefusalError when the secret is too short or can be guessed."""
    from sellctl.service.logs import configure  # noqa: PLC0415  loguru

    configure(options.debug, options.log_file, log_format=options.log_format)
    loaded = ConfigManager(options.config, with_api=True).load()
    configure(options.debug, options.log_file, loaded.secrets(), options.log_format)
    check_secret(loaded.config.api.secret)
    return loaded


def build(loaded: LoadedConfig, options: Options, run_options: RunOptions = RUN_OPTIONS) -> ApiServices:
    """Assemble the services. ConfigError or SafetyRefusalError before any request is sent to the broker."""
    from sellctl.bootstrap import assemble, check_live, unconfirmed_live  # noqa: PLC0415  adapters are heavy
    from sellctl.service.logs import log_event, redactor  # noqa: PLC0415  loguru

    if run_options.observes:  # what is asked here may trade real money on a host
        check_live(loaded, options, replace(run_options, mode=RunMode.ACT))
    elif unconfirmed_live(loaded, options, run_options):
        hint = "Confirm it once: sellctl --live watch, or sellctl --live serve."
        raise SafetyRefusalError("Trading with real money has not been confirmed yet.", hint=hint)
    hub = EventHub()
    redact = redactor(loaded.secrets())
    chat = chat_of(loaded, redact)
    notifier = Notifier(loaded.config, redact, chat=chat)

    def listen(event: "Event") -> None:
        log_event(event)
        hub.publish(event)
        notifier.notify(event)

    runtime = assemble(loaded, options, run_options, listen)
    control = Control(runtime, hub, notifier)
    api = loaded.config.api
    addresses, subjects = (Throttle(api.requests_a_second, runtime.clock.monotonic) for _ in range(2))

    async def reload_config() -> None:
        sd_notify(*reloading())
        await reload(runtime, options.config, listen, with_api=True)
        sd_notify("READY=1")

    gate = Gate(Access.of(api), addresses, subjects, Audit(control.journal), api.secret)
    return ApiServices(control, gate, reload_config, notifier, chat)


@asynccontextmanager
async def running(app: "FastAPI") -> AsyncIterator[None]:
    """The router's lifespan: runs `app.state.sellctl_services`, or services built from the configuration if unset."""
    services: ApiServices | None = getattr(app.state, "sellctl_services", None)
    if services is not None:
        async with serving(app, services):
            yield
        return
    live = os.environ.get("SELLCTL_LIVE", "").lower() in _YES
    options = Options(None, None, live=live, debug=False, log_file=None)
    services = build(load(options), options)
    try:
        async with serving(app, services):
            yield
    finally:
        services.close()


@asynccontextmanager
async def serving(app: "FastAPI", services: ApiServices) -> AsyncIterator[None]:
    """Run the services behind an application."""
    control, audit = services.control, services.gate.audit
    app.state.sellctl_control, app.state.sellctl_gate = control, services.gate
    writing, observing = asyncio.create_task(_write_calls(audit)), _observing(control.runtime)
    if services.chat:
        services.chat.start(control.runtime, Verbs(control.runtime), control.why_idle)
    if control.enabled and control.runtime.loaded.config.api.autostart:
        control.start()
    try:
        yield
    finally:
        await control.close()
        if observing:
            observing.cancel()
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        audit.flush()


def _observing(runtime: "Runtime") -> "asyncio.Task[None] | None":
    """Follows what the hosts change, also while nothing is read here; None where this process acts itself."""
    if not runtime.observes:
        return None
    halt = SharedHalt(runtime.state, runtime.scheduler.publish)
    return asyncio.create_task(observe(runtime.scheduler, runtime.state, halt))


async def _write_calls(audit: Audit) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        audit.flush()
