"""docker-compose.yml: valid for every profile, and no container may do more than it has to."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.alertmanager import settings as alerts
from alerting.bridge import settings as bridge
from collector.config import load
from collector.demo import SIMULATED
from tests.deploy.compose import EXAMPLE, PROFILES, ROOT, compose, environment, model, services

ALWAYS = {
    "alertmanager", "bridge", "grafana", "jaeger", "loki", "loki-probe", "otelcol", "otelcol-probe", "prometheus",
    "setup",
}  # fmt: skip
ONCE = {"setup"}
PROBED = {"otelcol": "http://otelcol:13133/", "loki": "http://loki:3100/ready"}
"""Images without a shell, and what is asked by a container of their own."""
RAW = (ROOT / "docker-compose.yml").read_text()
NAMES = sorted(services())
EVERY = [argument for profile in PROFILES for argument in ("--profile", profile)]


def service(name: str) -> dict[str, Any]:
    return services()[name]


@pytest.mark.parametrize(
    ("profiles", "more"),
    [((), {"collector"}), (("live",), {"collector"}), (("demo",), {"collector-demo", "simulator"})],
)
def test_each_profile_is_valid_and_starts_what_it_should(profiles: tuple[str, ...], more: set[str]) -> None:
    assert set(model(*profiles)["services"]) == ALWAYS | more


def test_without_make_env_nothing_starts_and_it_is_said_what_to_do() -> None:
    refused = compose(environment(GRAFANA_PASSWORD=""), "config")
    assert refused.stdout == ""
    assert "required variable GRAFANA_PASSWORD is missing a value: run make env" in refused.stderr
    assert set(re.findall(r"\$\{\w+:\?([^}]*)\}", RAW)) == {"run make env"}


def test_every_variable_is_in_the_example_and_the_example_has_no_other() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", RAW))
    assert set(EXAMPLE) - {"COMPOSE_PROFILES"} == used
    defaults = set(re.findall(r"\$\{\w+:-([^}]*)\}", RAW))
    assert defaults == {"", "./secrets/none"}, "a value stands in .env.example, once"


def test_no_secret_has_a_default() -> None:
    secret = {name: text for name, text in EXAMPLE.items() if re.search(r"PASSWORD|SECRET|TOKEN|_FILE$", name)}
    assert secret == dict.fromkeys(secret, "")
    assert "GRAFANA_PASSWORD" in secret
    for name, one in services().items():
        for variable, text in one.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN", variable) and text:
                assert text.startswith("/run/secrets/") or text == environment()["GRAFANA_PASSWORD"], (name, variable)


@pytest.mark.parametrize("name", NAMES)
def test_a_container_may_do_no_more_than_it_has_to(name: str) -> None:
    one = service(name)
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "devices", "pid", "ipc"} & set(one)
    user, _, group = one["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0 or name == "grafana", "Grafana's image gives its files to group 0"
    limits = one["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert int(limits["memory"]) > 0
    assert int(limits["pids"]) > 0
    assert one["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert one["restart"] == ("no" if name in ONCE else "unless-stopped")


@pytest.mark.parametrize("name", NAMES)
def test_a_container_says_whether_it_is_well(name: str) -> None:
    if name in ONCE:
        waiting = [
            other["depends_on"][name]["condition"]
            for other in services().values()
            if name in other.get("depends_on", {})
        ]
        assert waiting
        assert set(waiting) == {"service_completed_successfully"}
    elif name in PROBED:
        assert "healthcheck" not in service(name)
        assert service(f"{name}-probe")["healthcheck"]["test"][-1] == PROBED[name]
    else:
        check = service(name)["healthcheck"]
        assert check["test"][0] == "CMD"
        assert {"interval", "timeout", "retries", "start_period"} <= set(check)


def test_every_image_is_pinned_to_one_version() -> None:
    for name, one in services().items():
        assert re.search(r":v?\d+\.\d+\.\d+(-musl)?$", one["image"]), (name, one["image"])
        assert ("build" in one) is one["image"].startswith("marketprism"), name


def test_every_registry_can_be_replaced_by_a_mirror() -> None:
    mirrors = environment(DOCKER_IO="mirror.test/d", QUAY_IO="mirror.test/q", GHCR_IO="mirror.test/g")
    images = compose(mirrors, *EVERY, "config", "--images").stdout.split()
    ours = {image.partition(":")[0] for image in images if not image.startswith("mirror.test/")}
    assert ours == {"marketprism", "marketprism-simulator"}
    assert len(images) == len(services())


def test_a_digest_may_follow_a_version() -> None:
    pinned = f"v3.14.0@sha256:{'0' * 64}"
    images = compose(environment(PROMETHEUS_VERSION=pinned), "config", "--images").stdout
    assert f"quay.io/prometheus/prometheus:{pinned}" in images


def test_every_port_is_on_loopback_and_is_the_one_of_the_design() -> None:
    ports = [(name, port) for name, one in services().items() for port in one.get("ports", [])]
    assert {port["host_ip"] for _, port in ports} == {"127.0.0.1"}
    found = {(name, int(port["published"]), port["target"]) for name, port in ports}
    own = {
        "collector": [8080], "collector-demo": [8080], "bridge": [8081], "simulator": [8900], "grafana": [3000],
        "otelcol": [4317, 4318, 8888, 13133], "prometheus": [9090], "alertmanager": [9093], "jaeger": [16686],
        "loki": [3100],
    }  # fmt: skip
    assert found == {(name, port, port) for name, numbers in own.items() for port in numbers}


def test_every_port_can_be_moved() -> None:
    names = [name for name in EXAMPLE if name.endswith("_PORT")]
    moved = {name: str(20000 + number) for number, name in enumerate(names)}
    text = compose(environment(**moved), *EVERY, "config").stdout
    published = re.findall(r'published: "(\d+)"', text)
    assert sorted(set(published)) == sorted(moved.values())


def test_what_is_mounted_from_the_checkout_is_there_and_cannot_be_written() -> None:
    for name, one in services().items():
        for mount in one.get("volumes", []):
            if mount["type"] == "bind":
                assert mount["read_only"] is True, (name, mount)
                assert Path(mount["source"]).exists(), (name, mount)
                assert Path(mount["source"]).stat().st_mode & 0o004, "the programs in the containers are other users"


def test_a_volume_gets_its_owner_where_its_folder_is_made() -> None:
    made = set(re.findall(r"(?<=\s)/var/lib/[\w-]+", (ROOT / "Dockerfile").read_text()))
    own = {"prometheus": "/prometheus", "alertmanager": "/alertmanager", "grafana": "/var/lib/grafana"}
    owner = dict.fromkeys(own, 1)
    for name, one in services().items():
        for mount in one.get("volumes", []):
            if mount["type"] == "volume" and not mount.get("volume", {}).get("nocopy"):
                theirs = own.get(mount["source"])
                assert mount["target"] == theirs if theirs else mount["target"] in made, (name, mount)
                assert theirs or "build" in one
                owner[mount["source"]] = 1
    assert set(owner) == set(model(*PROFILES)["volumes"])


def test_gomemlimit_is_four_fifths_of_the_memory() -> None:
    limits = {
        name.removesuffix("_GOMEMLIMIT"): int(EXAMPLE[name][:-3]) for name in EXAMPLE if name.endswith("_GOMEMLIMIT")
    }
    assert set(limits) == {"ALERTMANAGER", "JAEGER", "LOKI", "OTELCOL"}, "Prometheus reads its limit itself"
    for name, limit in limits.items():
        assert limit == int(EXAMPLE[f"{name}_MEMORY"][:-1]) * 4 // 5


def test_collecting_waits_for_nothing_that_only_watches_it() -> None:
    assert "depends_on" not in service("collector")
    assert set(service("collector-demo")["depends_on"]) == {"simulator"}


def test_the_demo_has_a_journal_of_its_own_and_differs_in_nothing_else_that_it_writes() -> None:
    live, demo = service("collector"), service("collector-demo")
    assert {mount["source"] for mount in demo["volumes"]} & {"journal"} == set()
    assert "journal" in {mount["source"] for mount in live["volumes"]}
    own = {"profiles", "depends_on", "environment", "volumes", "networks"}
    assert {key: live[key] for key in live if key not in own} == {key: demo[key] for key in demo if key not in own}
    different = {key for key in live["environment"] if live["environment"][key] != demo["environment"][key]}
    assert different == {"OTEL_RESOURCE_ATTRIBUTES"}
    assert demo["networks"]["default"]["aliases"] == ["collector"]


@pytest.mark.parametrize(("name", "file"), [("collector", "collector.yaml"), ("collector-demo", "demo.yaml")])
def test_the_collectors_configuration_is_valid_and_is_read_where_it_is_mounted(
    name: str, file: str, tmp_path: Path
) -> None:
    one = service(name)
    (mount,) = [mount for mount in one["volumes"] if mount["target"] == one["environment"]["MARKETPRISM_CONFIG"]]
    assert Path(mount["source"]) == ROOT / "deploy" / file
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\n")
    given = {key: text for key, text in one["environment"].items() if key.startswith("MARKETPRISM_")}
    text = Path(mount["source"]).read_text().replace("/var/lib/simulator-ca/ca.pem", str(authority))
    (tmp_path / file).write_text(text)
    config = load(tmp_path / file, given)
    assert (config.web.host, config.web.port) == ("0.0.0.0", 8080)  # noqa: S104 - in a container
    assert config.journal.directory == Path("/var/lib/marketprism/journal")
    assert config.instance_id == "marketprism"


def test_the_demo_reaches_every_venue_of_the_simulator_by_a_name_of_its_certificate() -> None:
    venues = yaml.safe_load((ROOT / "deploy" / "demo.yaml").read_text())["venues"]
    assert venues == {
        section: {"ws_url": f"wss://simulator:8943/{venue}", "rest_url": f"https://simulator:8943/{venue}"}
        for section, venue in SIMULATED.items()
    }
    assert "--tls-name=simulator" in service("simulator")["command"]


def test_every_variable_of_the_alerts_reaches_who_reads_it() -> None:
    fixed = {"LISTEN", "DATA", "RUNBOOKS", "TOKEN_FILE"}
    own = {f"{bridge.PREFIX}{name}" for name in bridge.PLAIN} | {
        f"{bridge.PREFIX}{name}_FILE" for name in bridge.SECRETS
    }
    theirs = {f"{alerts.PREFIX}{name}" for name in alerts.NAMES}
    assert {name for name in service("bridge")["environment"] if name.startswith(bridge.PREFIX)} == own
    assert set(service("setup")["environment"]) == (own | theirs) - {f"{bridge.PREFIX}DATA", f"{bridge.PREFIX}RUNBOOKS"}
    free = own | theirs - {f"{alerts.PREFIX}BRIDGE_URL", f"{alerts.PREFIX}TRACES_URL"}
    assert {name for name in EXAMPLE if name.startswith((bridge.PREFIX, alerts.PREFIX))} == free - {
        f"{bridge.PREFIX}{name}" for name in fixed
    }
