"""What contrib/ has for several hosts in containers fits the program: compose.yml and the Kubernetes manifests."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from container_file import (
    COMPOSE,
    COMPOSE_CONFIG,
    CONTRIB,
    HEALTH_CHECK,
    MANIFESTS,
    OURS,
    WORKLOADS,
    container,
    last,
    manifest,
    pod,
)
from typer.testing import CliRunner

from sellctl.api.access import Access, AccessError, check_exposed
from sellctl.app import app
from sellctl.commands.watch import check_host_id
from sellctl.core.config_manager import ConfigManager

SECRETS = {
    "ALPACA_API_KEY": "PKABCDEFGHIJKLMNOPQR",
    "ALPACA_SECRET_KEY": "abcdefghijklmnopqrstuvwxyzabcdefghijklmn",
    "SELLCTL_DB_PASSWORD": "p4ssw0rd",
}
STOPS_WITHIN = 30  # seconds, as in sellctl.service


def parsed(arguments: Sequence[str]) -> dict[str, Any]:
    """The values of a command's options, as the program itself parses them."""
    group: Any = typer.main.get_command(app)
    name, *rest = arguments
    context = group.make_context("sellctl", [], resilient_parsing=True)
    found: dict[str, Any] = group.get_command(context, name).make_context(name, rest, parent=context).params
    return found


def seconds(text: str) -> int:
    """A duration of compose, such as 30s or 1m."""
    [(number, unit)] = re.findall(r"^(\d+)([sm])$", text)
    return int(number) * {"s": 1, "m": 60}[unit]


# --- compose.yml ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one", "two"])
def test_each_host_of_compose_watches_under_its_services_name(name: str) -> None:
    options = parsed(OURS[name]["command"])
    assert (options["host_id"], options["output"]) == (name, "log")
    check_host_id(name, dry_run=options["dry_run"])


def test_the_api_of_compose_observes() -> None:
    assert parsed(OURS["api"]["command"])["observe"] is True


def test_compose_has_a_database_two_hosts_and_the_api() -> None:
    assert [*COMPOSE["services"]] == ["database", "one", "two", "api"]
    assert [*OURS] == ["one", "two", "api"]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_may_do_nothing_but_its_work(name: str) -> None:
    service = COMPOSE["services"][name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"]
    assert service["restart"] == "unless-stopped"
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc"}
    assert seconds(service["stop_grace_period"]) >= STOPS_WITHIN


def test_our_services_keep_the_images_user_and_health_check_and_only_a_built_image_is_used() -> None:
    for service in OURS.values():
        assert not service.keys() & {"user", "healthcheck", "entrypoint"}
        assert service["pull_policy"] == "never"
        assert f"docker build -f contrib/Dockerfile -t {service['image']} ." in (CONTRIB / "compose.yml").read_text()


def test_each_of_our_services_has_a_state_folder_of_its_own_and_reads_the_configuration() -> None:
    environment = dict(each.split("=", 1) for each in last("ENV").split())
    mounts = [dict(reversed(each.split(":")[:2]) for each in service["volumes"]) for service in OURS.values()]
    states = [each[environment["SELLCTL_STATE_DIR"]] for each in mounts]
    assert len({*states}) == len(OURS)
    assert {*states, "database"} == COMPOSE["volumes"].keys()
    assert all(f"./config.yml:{environment['SELLCTL_CONFIG']}:ro" in service["volumes"] for service in OURS.values())


def test_the_database_is_one_image_by_its_digest_kept_on_a_volume_and_open_to_nobody_outside() -> None:
    database = COMPOSE["services"]["database"]
    assert re.fullmatch(r"postgres:17-trixie@sha256:[0-9a-f]{64}", database["image"])
    assert database["volumes"] == ["database:/var/lib/postgresql/data"]
    assert database["user"] == "postgres"
    assert "ports" not in database
    assert "--host=127.0.0.1" in database["healthcheck"]["test"]
    assert all(each["depends_on"] == {"database": {"condition": "service_healthy"}} for each in OURS.values())


def test_no_secret_stands_in_compose_and_each_that_its_configuration_wants_is_named() -> None:
    text = (CONTRIB / "compose.yml").read_text()
    wanted = {*re.findall(r"\$\{(\w+)\}", COMPOSE_CONFIG.read_text())}
    assert wanted == SECRETS.keys()
    assert all(f"{name}=..." in text for name in {*wanted, "SELLCTL_API_SECRET", "POSTGRES_PASSWORD"})
    assert COMPOSE["services"]["database"]["environment"].keys() == {"POSTGRES_USER", "POSTGRES_DB"}


# --- the configuration of compose, and how its API is reached ---------------------------------------------------------


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("configured")
def test_the_configuration_of_compose_is_valid_and_its_journal_is_composes_database(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--config", str(COMPOSE_CONFIG), "--state-dir", str(tmp_path), "config", "check"])
    assert (result.exit_code, "journal: on PostgreSQL" in result.stdout) == (0, True), result.output
    url = str(ConfigManager(COMPOSE_CONFIG).load().config.journal.url)
    environment = COMPOSE["services"]["database"]["environment"]
    user, database = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
    assert url == f"postgresql+psycopg://{user}:{SECRETS['SELLCTL_DB_PASSWORD']}@database/{database}"


@pytest.mark.usefixtures("configured")
def test_the_api_of_compose_is_called_through_the_published_port_of_this_machine_and_from_nowhere_else() -> None:
    api = ConfigManager(COMPOSE_CONFIG).load().config.api
    [network] = COMPOSE["networks"]["default"]["ipam"]["config"]
    check_exposed(api)
    access = Access.of(api)
    assert str(access.caller(network["gateway"], ())) == network["gateway"]
    for stranger in ("172.31.254.2", "172.31.254.5", "172.17.0.1", "192.0.2.7"):
        with pytest.raises(AccessError, match=f"{re.escape(stranger)} is neither"):
            access.caller(stranger, (network["gateway"],))
    with pytest.raises(AccessError):
        access.caller(network["gateway"], ("192.0.2.7",))
    assert OURS["api"]["ports"] == [f"127.0.0.1:{api.port}:{api.port}"]
    assert not any("ports" in service for name, service in COMPOSE["services"].items() if name != "api")


# --- Kubernetes -------------------------------------------------------------------------------------------------------


def test_the_hosts_on_kubernetes_watch_under_their_pods_names() -> None:
    watcher = container("StatefulSet")
    options = parsed([each.replace("$(POD_NAME)", "sellctl-0") for each in watcher["args"]])
    assert (options["host_id"], options["output"]) == ("sellctl-0", "log")
    check_host_id("sellctl-0", dry_run=options["dry_run"])
    assert {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} in watcher["env"]
    assert WORKLOADS["StatefulSet"]["spec"]["replicas"] == 2


def test_the_api_on_kubernetes_observes() -> None:
    assert parsed(container("Deployment")["args"])["observe"] is True


@pytest.mark.parametrize("kind", WORKLOADS)
def test_a_pod_runs_as_the_images_user_and_may_do_nothing_but_its_work(kind: str) -> None:
    user, group = map(int, last("USER").split(":"))
    security = pod(kind)["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["runAsNonRoot"]) == (user, group, True)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(kind)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(kind)["automountServiceAccountToken"] is False
    assert pod(kind)["terminationGracePeriodSeconds"] >= STOPS_WITHIN
    assert "command" not in container(kind)  # the image's entry point


@pytest.mark.parametrize("kind", WORKLOADS)
def test_the_state_folder_is_inside_a_volume_whose_files_no_later_start_opens_to_the_group(kind: str) -> None:
    [state] = [Path(each["value"]) for each in container(kind)["env"] if each["name"] == "SELLCTL_STATE_DIR"]
    mounts = {each["mountPath"]: each["name"] for each in container(kind)["volumeMounts"]}
    assert mounts[str(state.parent)] == "state"
    assert str(state) not in mounts
    security = pod(kind)["securityContext"]
    assert (security["fsGroup"], security["fsGroupChangePolicy"]) == (security["runAsGroup"], "OnRootMismatch")


def test_each_host_on_kubernetes_keeps_its_state() -> None:
    [claim] = WORKLOADS["StatefulSet"]["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "state"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


@pytest.mark.parametrize("kind", WORKLOADS)
def test_the_probes_are_the_images_health_check(kind: str) -> None:
    for probe in ("readinessProbe", "livenessProbe"):
        assert container(kind)[probe]["exec"]["command"] == ["sh", "-c", HEALTH_CHECK]
    liveness = container(kind)["livenessProbe"]
    assert liveness["initialDelaySeconds"] >= 120  # the start period of the image


@pytest.mark.parametrize("kind", WORKLOADS)
def test_what_a_workload_selects_and_mounts_is_there(kind: str) -> None:
    specification = WORKLOADS[kind]["spec"]
    labels = specification["template"]["metadata"]["labels"]
    assert specification["selector"]["matchLabels"] == labels
    named = {each["name"] for each in [*pod(kind)["volumes"], *(each["metadata"] for each in claims(specification))]}
    assert {each["name"] for each in container(kind)["volumeMounts"]} == named
    [config] = [each["configMap"]["name"] for each in pod(kind)["volumes"] if "configMap" in each]
    assert config == manifest("ConfigMap")["metadata"]["name"]
    [secret] = [each["secretRef"]["name"] for each in container(kind)["envFrom"]]
    assert (
        f"kubectl create secret generic {secret} --from-env-file=" in (CONTRIB / "kubernetes/watchers.yml").read_text()
    )


def claims(specification: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = specification.get("volumeClaimTemplates", [])
    return found


def test_the_hosts_have_the_headless_service_that_they_name() -> None:
    service, hosts = manifest("Service"), WORKLOADS["StatefulSet"]
    assert service["metadata"]["name"] == hosts["spec"]["serviceName"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == hosts["spec"]["selector"]["matchLabels"]
    [spread] = pod("StatefulSet")["topologySpreadConstraints"]
    assert spread["labelSelector"] == hosts["spec"]["selector"]


def test_the_workloads_do_not_select_each_others_pods() -> None:
    selectors = [each["spec"]["selector"]["matchLabels"] for each in WORKLOADS.values()]
    assert selectors[0] != selectors[1]


@pytest.mark.usefixtures("configured")
def test_the_configuration_on_kubernetes_is_valid_has_no_secret_and_lets_only_the_pod_itself_call_the_api(
    tmp_path: Path,
) -> None:
    [(name, text)] = manifest("ConfigMap")["data"].items()
    file = tmp_path / name
    file.write_text(text)
    [mount] = [each["mountPath"] for each in container("StatefulSet")["volumeMounts"] if each["name"] == "config"]
    assert f"SELLCTL_CONFIG={mount}/{name}" in last("ENV").split()
    loaded = ConfigManager(file).load()
    assert loaded.config.api.host == "127.0.0.1"
    assert {*re.findall(r"\$\{(\w+)\}", text)} == SECRETS.keys()
    assert [*yaml.safe_load(text)["accounts"]] == [*loaded.config.accounts]


def test_the_manifests_bring_nothing_else() -> None:
    assert sorted(each["kind"] for each in MANIFESTS) == ["ConfigMap", "Deployment", "Service", "StatefulSet"]
