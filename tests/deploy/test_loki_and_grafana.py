"""What only containers have, and nothing native proves: that their files fit the services around them."""

import re
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.deploy.compose import EXAMPLE, ROOT, services

LOKI: dict[str, Any] = yaml.safe_load((ROOT / "loki" / "loki.yaml").read_text())
PROVISIONING = ROOT / "grafana" / "provisioning"


def mounted(name: str) -> dict[str, str]:
    """Path inside → path of the checkout, or name of the volume."""
    return {mount["target"]: mount["source"] for mount in services()[name]["volumes"]}


def test_loki_keeps_logs_for_a_while_and_only_on_its_volume() -> None:
    assert LOKI["limits_config"]["retention_period"] == "168h"
    assert LOKI["compactor"]["retention_enabled"] is True
    assert LOKI["compactor"]["delete_request_store"] == "filesystem"
    paths = re.findall(
        r"_(?:directory|prefix): (\S+/\S*|\$\S+)$", (ROOT / "loki" / "loki.yaml").read_text(), re.MULTILINE
    )
    assert len(paths) == 4
    assert all(path.startswith("${STACK_LOKI_DIR:-loki}") for path in paths)
    assert mounted("loki")[services()["loki"]["environment"]["STACK_LOKI_DIR"]] == "loki"


def test_the_labels_of_logs_are_few_and_bounded() -> None:
    otlp = LOKI["limits_config"]["otlp_config"]["resource_attributes"]
    assert otlp["ignore_defaults"] is True
    (rule,) = otlp["attributes_config"]
    assert rule == {
        "action": "index_label",
        "attributes": ["service.name", "service.namespace", "deployment.environment.name"],
    }


def test_logs_go_to_loki_and_every_address_is_that_of_a_service() -> None:
    otelcol = services()["otelcol"]["environment"]
    assert otelcol["STACK_LOKI_URL"] == "http://loki:3100"
    for one in services().values():
        for text in (one.get("environment") or {}).values():
            for host in re.findall(r"(?:https?|wss?)://([a-z-]+):\d+", text):
                assert host in services()


def test_grafana_asks_services_at_ports_that_they_have() -> None:
    sources = yaml.safe_load((PROVISIONING / "datasources" / "marketprism.yaml").read_text())["datasources"]
    asked = {one["name"].lower(): urlsplit(one["url"]) for one in sources}
    assert set(asked) == {"prometheus", "jaeger", "loki"}
    for name, url in asked.items():
        assert url.hostname == name
        assert url.port in [port["target"] for port in services()[name]["ports"]]


def test_grafana_finds_its_dashboards_where_they_are_mounted() -> None:
    providers = yaml.safe_load((PROVISIONING / "dashboards" / "marketprism.yaml").read_text())["providers"]
    inside = mounted("grafana")
    assert {inside[one["options"]["path"]] for one in providers} == {str(ROOT / "grafana" / "dashboards")}
    assert inside["/etc/grafana/provisioning"] == str(PROVISIONING)


def test_the_page_tells_every_port() -> None:
    page = (ROOT / "docs" / "compose.md").read_text()
    told = {int(port) for port in re.findall(r"^\| `http://127\.0\.0\.1:(\d+)` \|", page, re.MULTILINE)}
    assert told == {int(EXAMPLE[name]) for name in EXAMPLE if name.endswith("_PORT")}
