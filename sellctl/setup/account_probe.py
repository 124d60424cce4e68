"""Asks the broker which account a key pair belongs to, and whether it is for paper or real money."""

import asyncio
from dataclasses import replace

from sellctl.alpaca.connect import connect
from sellctl.core.config.profiles import kind_text
from sellctl.core.config.schema import AccountConfig, Config, EndpointsConfig
from sellctl.core.errors import AuthError, ConfigError
from sellctl.core.model.snapshot import AccountFacts
from sellctl.setup.key_sources import KeySource

_LIVE_PREFIX = "AK"  # of live key IDs; those for paper begin with PK


def read_account(name: str, source: KeySource, endpoints: EndpointsConfig) -> AccountFacts:
    """The account of a key pair. The paper and the live address are asked; a simulator's account is paper.

    AuthError when both refuse the key, ConfigError when the account is of the other kind than its source says, and any
    BrokerError when the broker can't be asked.
    """
    account = AccountConfig(source.api_key, source.secret_key, endpoints=endpoints)
    kinds = (True,) if endpoints.trading else _kinds(source)
    refusal: AuthError | None = None
    for paper in kinds:
        try:
            facts = _read(name, replace(account, paper=paper))
        except AuthError as error:
            refusal = refusal or error
        else:
            _refuse_other_kind(source, facts)
            return facts
    if refusal is None or len(kinds) == 1:
        raise refusal or AuthError(f"The key from {source.text} was not tried.")
    sentence = f"Alpaca refuses the key from {source.text}, for paper and for live."
    raise AuthError(sentence, hint="Copy key and secret again from Alpaca's dashboard, or make a new pair there.")


def _kinds(source: KeySource) -> tuple[bool, bool]:
    """Paper and live, the likelier one first."""
    live_first = source.paper is False or (source.paper is None and source.api_key.startswith(_LIVE_PREFIX))
    return (False, True) if live_first else (True, False)


def _refuse_other_kind(source: KeySource, facts: AccountFacts) -> None:
    if source.paper not in {None, facts.paper}:
        said, found = kind_text(paper=not facts.paper), kind_text(paper=facts.paper)
        sentence = f"{source.kind_source} says {said}, and Alpaca accepts its key for {found} only."
        raise ConfigError(sentence, hint="Correct it, or use another key.")


def _read(name: str, account: AccountConfig) -> AccountFacts:
    connected = connect(Config(accounts={name: account}))
    try:
        return asyncio.run(connected.brokers[name].account())
    finally:
        connected.close()
