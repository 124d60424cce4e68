"""Validation against Alpaca's official schemas, where the environment names a folder that has them."""

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

TRADING, DATA = "trading-api.json", "market-data-api.json"
OPENAPI = os.environ.get("SELLCTL_OPENAPI_DIR", "")

# What the official schemas get wrong, by name: each changes the one schema that it is about.
KNOWN_FAULTS: dict[str, str] = {
    "mleg-empty-text": "a multi-leg parent has empty asset_class, asset_id, side and symbol, as the example shows",
    "leg-empty-type": "a multi-leg leg has an empty type, as the example shows",
    "orders-are-a-list": "GET /v2/orders declares one order where an array comes",
    "activity-date-is-a-date": "NonTradeActivities.date is said to be date-time, and its own example is a date",
    "closed-body-may-be-an-error": "PositionClosedReponse.body is said to be an order, also when closing failed",
}

ORDER = {
    "id", "client_order_id", "created_at", "updated_at", "submitted_at", "filled_at", "expired_at", "expires_at",
    "canceled_at", "failed_at", "replaced_at", "replaced_by", "replaces", "asset_id", "symbol", "asset_class",
    "notional", "qty", "filled_qty", "filled_avg_price", "order_class", "order_type", "type", "side", "time_in_force",
    "limit_price", "stop_price", "status", "extended_hours", "legs", "trail_percent", "trail_price", "hwm", "subtag",
    "source", "position_intent",
}  # fmt: skip


def as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's `nullable` as JSON Schema says it; references stay."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    turned = {key: as_json_schema(value) for key, value in node.items() if key not in {"example", "nullable"}}
    if node.get("nullable") and "type" in turned:
        turned["type"] = [turned["type"], "null"]
        if "enum" in turned:
            turned["enum"] = [*turned["enum"], None]
    return turned


@cache
def the_document(file: str) -> dict[str, Any]:
    document = json.loads((Path(OPENAPI) / file).read_text(encoding="utf-8"))
    return {"components": {"schemas": as_json_schema(document["components"]["schemas"])}}


def check(value: Any, schema: str, file: str = TRADING, fault: str = "") -> None:
    """Validate against one named schema; skipped without the folder. `fault` names what the schema gets wrong."""
    if not OPENAPI:
        return
    document = json.loads(json.dumps(the_document(file)))
    if fault:
        REPAIRS[fault](document["components"]["schemas"])
    validator = jsonschema_rs.validator_for({**document, "$ref": f"#/components/schemas/{schema}"})
    assert [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)] == []


def _allow_empty(schemas: dict[str, Any]) -> None:
    for name in ("AssetClass", "OrderSide", "OrderType"):
        schemas[name]["enum"] = [*schemas[name]["enum"], ""]
    for name in ("Order", "OrderLeg"):
        schemas[name]["properties"]["symbol"].pop("minLength", None)
        schemas[name]["properties"]["asset_id"].pop("format", None)


REPAIRS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "mleg-empty-text": _allow_empty,
    "leg-empty-type": _allow_empty,
    "orders-are-a-list": lambda schemas: schemas.update(Orders={"type": "array", "items": schemas["Order"]}),
    "activity-date-is-a-date": lambda schemas: schemas["NonTradeActivities"]["properties"]["date"].update(
        format="date"
    ),
    "closed-body-may-be-an-error": lambda schemas: schemas["PositionClosedReponse"]["properties"].update(
        body={"$ref": "#/components/schemas/Error"}
    ),
}
