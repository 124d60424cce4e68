"""The JSON schema of scenario files, for editors. Generated from the tables of keys that the reader uses."""

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import Any

from sellctl.sim.faults.catalogue import CATALOGUE
from sellctl.sim.scenario import reader as keys
from sellctl.sim.settings import Settings

Json = dict[str, Any]
SCALAR: Json = {"type": ["string", "number", "integer"]}
NUMBER: Json = {"type": ["number", "string"], "description": "exact; a percent sign divides by 100"}
TIME: Json = {"type": ["string", "integer"], "description": '"14:30" or "2026-11-25 14:30" (New York), +90s, start'}
SPAN: Json = {"type": ["string", "number"], "description": "90s, 5m, 1h30m, 2d; a bare number counts seconds"}
TEXT: Json = {"type": ["string", "integer", "number"]}
FLAG: Json = {"type": ["boolean", "string"]}

FAULT: Json = {"$ref": "#/$defs/misbehaviour"}


def scenario_schema() -> Json:
    """The whole schema, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sellctl sim scenario",
        "$defs": {"misbehaviour": _fault()},
        **_object(
            dict.fromkeys(keys.TOP_KEYS, TEXT)
            | {
                "start": TIME,
                "until": TIME,
                "speed": NUMBER,
                "settings": _object({field.name: _setting(field.default) for field in dataclasses.fields(Settings)}),
                "accounts": {"type": "object", "additionalProperties": _account()},
                "prices": {"type": "object", "additionalProperties": _path()},
                "events": {"type": "array", "items": _event()},
                "misbehaviours": {"type": "array", "items": FAULT},
                "promises": {"type": "array", "items": _expectation()},
            },
            required=("start",),
        ),
    }


def _object(properties: Json, required: tuple[str, ...] = ()) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _setting(default: object) -> Json:
    if isinstance(default, bool):
        return FLAG
    return SPAN if isinstance(default, dt.timedelta) else NUMBER if isinstance(default, (Decimal, float)) else SCALAR


def _account() -> Json:
    position = _object(dict.fromkeys(keys.POSITION_KEYS, NUMBER) | {"symbol": TEXT}, ("symbol", "qty", "entry"))
    properties = dict.fromkeys(keys.ACCOUNT_KEYS, TEXT) | {
        "cash": NUMBER,
        "sip": FLAG,
        "opra": FLAG,
        "trading_blocked": FLAG,
        "positions": {"type": "array", "items": position},
        "orders": {"type": "array", "items": _order()},
        "configuration": {"type": "object"},
    }
    return {**_object(properties), "type": ["object", "null"]}


def _order(*extra: str) -> Json:
    nested = {"take_profit": {"type": "object"}, "stop_loss": {"type": "object"}, "legs": {"type": "array"}}
    texts = dict.fromkeys((*keys.ORDER_KEYS, *extra), TEXT)
    return _object(texts | nested | {"age": SPAN, "extended_hours": FLAG})


def _level(*extra: str) -> Json:
    sides: Json = {key: {"type": ["number", "string", "null"]} for key in keys.QUOTE_KEYS}
    return {"anyOf": [NUMBER, _object(sides | dict.fromkeys(extra, TIME))]}


def _path() -> Json:
    walk = _object({"seed": SCALAR, "sigma": NUMBER, "step": SPAN, "drift": NUMBER}, ("seed", "sigma"))
    segment = _object({"at": TIME, "fixed": _level(), "jump": _level(), "linear": _level("until"), "walk": walk})
    return {"anyOf": [_level(), {"type": "array", "items": segment}]}


def _event() -> Json:
    kinds: Json = {
        "order": _order("account"),
        "cancel": _object(dict.fromkeys(("account", "client_order_id", "symbol"), TEXT), ("account",)),
        "quote": _level("symbol"),
        "misbehave": FAULT,
        "behave": {"enum": [*CATALOGUE, "all"]},
        "halt": TEXT,
        "resume": TEXT,
        "split": _object({"symbol": TEXT, "ratio": NUMBER, "booked": FLAG}, ("symbol", "ratio")),
        "transfer": _object({"account": TEXT, "amount": NUMBER}, ("account", "amount")),
        "set": _object({"account": TEXT, "refused": SCALAR, "trading_blocked": FLAG}, ("account",)),
    }
    return {**_object({"at": TIME, **kinds}, ("at",)), "minProperties": 2, "maxProperties": 2}


def _fault() -> Json:
    texts = {kind.name: kind.text for kind in CATALOGUE.values()}
    common = {"account": TEXT, "symbol": TEXT, "path": TEXT, "method": TEXT, "rate": NUMBER}
    options = [
        {
            **_object(
                {"name": {"const": name}, "times": {"type": ["integer", "null"]}, **common}
                | {param: {} for param in CATALOGUE[name].params},
                ("name",),
            ),
            "description": text,
        }
        for name, text in texts.items()
    ]
    return {"anyOf": [{"enum": list(texts)}, *options]}


def _expectation() -> Json:
    return _object(
        dict.fromkeys(keys.EXPECTATION_KEYS, TEXT) | {"ends": {"enum": list(keys.ENDS)}}, ("account", "ends")
    )
