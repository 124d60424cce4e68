"""Reads what contrib/ has for containers: the Dockerfile, its health check, compose.yml, the Kubernetes manifests."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

CONTRIB = Path(__file__).parents[1] / "contrib"


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, in order."""
    lines = [line for line in (CONTRIB / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def last(name: str) -> str:
    """The arguments of the last instruction of a name."""
    return [rest for each, rest in instructions() if each == name][-1]


HEALTH_CHECK = last("HEALTHCHECK").partition("CMD ")[2]


def is_healthy(state: Path) -> bool:
    """What the health check would answer in a container with this state folder."""
    environment = os.environ | {"SELLCTL_STATE_DIR": str(state)}
    checked = subprocess.run(["/bin/sh", "-c", HEALTH_CHECK], env=environment, capture_output=True, check=False)  # noqa: S603  ours
    return checked.returncode == 0


COMPOSE: dict[str, Any] = yaml.safe_load((CONTRIB / "compose.yml").read_text())
COMPOSE_CONFIG = CONTRIB / "compose.config.yml"
OURS: dict[str, Any] = {name: each for name, each in COMPOSE["services"].items() if each["image"] == "sellctl"}
MANIFESTS: list[dict[str, Any]] = [
    document for file in sorted((CONTRIB / "kubernetes").iterdir()) for document in yaml.safe_load_all(file.read_text())
]


def manifest(kind: str) -> dict[str, Any]:
    """The only manifest of a kind."""
    [found] = [each for each in MANIFESTS if each["kind"] == kind]
    return found


WORKLOADS = {kind: manifest(kind) for kind in ("StatefulSet", "Deployment")}


def pod(kind: str) -> dict[str, Any]:
    """The specification of a workload's pods."""
    found: dict[str, Any] = WORKLOADS[kind]["spec"]["template"]["spec"]
    return found


def container(kind: str) -> dict[str, Any]:
    """The only container of a workload's pods."""
    [found] = pod(kind)["containers"]
    return dict(found)
