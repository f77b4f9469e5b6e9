"""What the stack consists of: for each component its command line, the ports it takes, and how it says that it is
ready.

Owns the ports and the folder layout. It must never start anything: `stack` does. The committed configs in otel/,
loki/ and prometheus/ are used as they are: all but Prometheus read their addresses from STACK_ variables, and
Prometheus, which reads none, finds its targets in files that are written here. Alertmanager's configuration follows
from the MARKETPRISM_ALERT_ and MARKETPRISM_BRIDGE_ variables.
"""

from __future__ import annotations

import json
import secrets
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path

from alerting.alertmanager.__main__ import said, write
from alerting.alertmanager.settings import PREFIX, read
from alerting.bridge.settings import PREFIX as BRIDGE
from alerting.errors import AlertingError
from tools.programs import ROOT, ToolsError, path

HOST = "127.0.0.1"
INSTANCE = "STACK_COLLECTOR_INSTANCE"
"""The variable with the collector's `instance_id`: by this label the alert of a dead collector silences its feeds'."""
DEMO = "demo"
"""What `make demo` calls its collector."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Every port of the stack; the variable STACK_<NAME>_PORT sets it. `collector` is scraped, not taken."""

    otlp_grpc: int = 4317
    otlp_http: int = 4318
    otelcol_metrics: int = 8888
    otelcol_health: int = 13133
    prometheus: int = 9090
    jaeger: int = 16686
    jaeger_otlp: int = 4319
    jaeger_health: int = 13134
    jaeger_metrics: int = 8889
    loki: int = 3100
    loki_grpc: int = 9095
    alertmanager: int = 9093
    bridge: int = 8081
    collector: int = 8080

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Ports:
        """The defaults, but for those that a variable sets.

        Raises:
            ToolsError: a variable is no port.
        """
        chosen = {}
        for port in fields(cls):
            text = environment.get(variable(port.name))
            if text:
                if not (text.isdecimal() and 0 < int(text) < 65536):
                    raise ToolsError(f"{variable(port.name)} is {text!r}: expected a port, 1 to 65535")
                chosen[port.name] = int(text)
        return cls(**chosen)

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody uses now, so that several stacks run on one machine."""
        with ExitStack() as held:
            sockets = {port.name: held.enter_context(socket.socket()) for port in fields(cls)}
            for taken in sockets.values():
                taken.bind((HOST, 0))
            return cls(**{name: taken.getsockname()[1] for name, taken in sockets.items()})

    def variables(self) -> dict[str, str]:
        """What the configs in otel/ read."""
        return {variable(port.name): str(getattr(self, port.name)) for port in fields(self)}


def variable(port: str) -> str:
    """The environment variable of a port."""
    return f"STACK_{port.upper()}_PORT"


@dataclass(frozen=True, kw_only=True)
class Component:
    """One process of the stack.

    `takes` names the ports that must be free; `ready` answers 200 when it can be used; `url` is for people.
    """

    name: str
    command: tuple[str, ...]
    takes: Mapping[str, int]
    ready: str
    url: str
    serves: str
    environment: Mapping[str, str]
    folder: Path
    log: Path


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """Who is told of alerts (the variables that say it), of which collector, by which rules."""

    environment: Mapping[str, str] = field(default_factory=dict)
    instance: str = DEMO
    rules: Path = ROOT / "prometheus" / "rules"
    faster: int = 1
    """What every duration of these rules was divided by, for tests: how long a sample counts is divided as well."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Alerts:
        """What the variables say."""
        mine = {name: text for name, text in environment.items() if name.startswith((PREFIX, BRIDGE))}
        return cls(environment=mine, instance=environment.get(INSTANCE, DEMO))

    def variables(self, ports: Ports, data: Path) -> dict[str, str]:
        """All that Alertmanager's configuration and the bridge read; the token is of this stack's own making."""
        ours = {
            f"{BRIDGE}LISTEN": f"{HOST}:{ports.bridge}",
            f"{BRIDGE}DATA": str(data / "bridge"),
            f"{BRIDGE}RUNBOOKS": str(ROOT / "docs" / "runbooks"),
            f"{PREFIX}TRACES_URL": f"http://{HOST}:{ports.otlp_http}",
        }
        if f"{BRIDGE}TOKEN" not in self.environment:
            ours[f"{BRIDGE}TOKEN_FILE"] = str(data / "bridge-token")
        return {**ours, **self.environment}


def components(ports: Ports, data: Path, alerts: Alerts | None = None) -> list[Component]:
    """All components in the order of their start: first who receives, last who sends. Writes nothing."""
    alerts = alerts or Alerts()
    at = {name: f"http://{HOST}:{port}" for name, port in vars(ports).items()}
    shared = ports.variables() | {
        "STACK_PROMETHEUS_URL": at["prometheus"],
        "STACK_JAEGER_OTLP_ENDPOINT": f"{HOST}:{ports.jaeger_otlp}",
        "STACK_LOKI_URL": at["loki"],
        "STACK_LOKI_DIR": str(data / "loki"),
        "STACK_QUEUE_DIR": str(data / "otelcol-queue"),
        # Of one collector all traces fit, and each exemplar then leads to its own.
        "STACK_TRACES_KEEP_PERCENT": "100",
    }

    # This Jaeger traces every query of its own to OTEL_EXPORTER_OTLP_ENDPOINT and has no setting against it.
    silent = {"OTEL_TRACES_SAMPLER": "always_off", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{ports.jaeger_otlp}"}
    bridge = {name: text for name, text in alerts.variables(ports, data).items() if name.startswith(BRIDGE)}
    bridge["OTEL_EXPORTER_OTLP_ENDPOINT"] = at["otlp_http"]
    own = {"jaeger": silent, "bridge": bridge}

    def component(name: str, *arguments: str, takes: Iterable[str], ready: str, url: str, serves: str) -> Component:
        return Component(
            name=name,
            command=(sys.executable, *arguments) if name == "bridge" else (str(path(name)), *arguments),
            takes={port: getattr(ports, port) for port in takes},
            ready=ready,
            url=url,
            serves=serves,
            environment=shared | own.get(name, {}),
            folder=data,
            log=data / f"{name}.log",
        )

    return [
        component(
            "jaeger",
            f"--config={ROOT / 'otel' / 'jaeger.yaml'}",
            takes=("jaeger", "jaeger_otlp", "jaeger_health", "jaeger_metrics"),
            ready=f"{at['jaeger_health']}/status",
            url=at["jaeger"],
            serves="/api/traces, /api/services",
        ),
        component(
            "loki",
            f"-config.file={ROOT / 'loki' / 'loki.yaml'}",
            "-config.expand-env=true",
            takes=("loki", "loki_grpc"),
            ready=f"{at['loki']}/ready",
            url=at["loki"],
            serves="/loki/api/v1/query_range",
        ),
        component(
            "bridge",
            "-m",
            "collector",
            "bridge",
            takes=("bridge",),
            ready=f"{at['bridge']}/ready",
            url=at["bridge"],
            serves="/health, /metrics; takes alerts to DingTalk, WeCom and its log",
        ),
        component(
            "alertmanager",
            f"--config.file={data / 'alertmanager' / 'alertmanager.yml'}",
            f"--storage.path={data / 'alertmanager' / 'data'}",
            f"--web.listen-address={HOST}:{ports.alertmanager}",
            f"--web.external-url={at['alertmanager']}",
            "--cluster.listen-address=",
            "--enable-feature=utf8-strict-mode,receiver-name-in-metrics",
            # After a restart: until Prometheus has told everything again (its resend-delay, below), nothing is told.
            "--dispatch.start-delay=5s",
            takes=("alertmanager",),
            ready=f"{at['alertmanager']}/-/ready",
            url=at["alertmanager"],
            serves="/api/v2/alerts, /api/v2/silences",
        ),
        component(
            "prometheus",
            f"--config.file={data / 'prometheus' / 'prometheus.yml'}",
            f"--storage.tsdb.path={data / 'prometheus' / 'tsdb'}",
            f"--web.listen-address={HOST}:{ports.prometheus}",
            "--web.enable-otlp-receiver",
            "--enable-feature=exemplar-storage",
            # An Alertmanager that was down is told again this soon; the default is a minute.
            "--rules.alert.resend-delay=5s",
            f"--query.lookback-delta={300 // alerts.faster}s",
            takes=("prometheus",),
            ready=f"{at['prometheus']}/-/ready",
            url=at["prometheus"],
            serves="/api/v1/query, /api/v1/otlp",
        ),
        component(
            "otelcol",
            f"--config={ROOT / 'otel' / 'gateway.yaml'}",
            takes=("otlp_grpc", "otlp_http", "otelcol_metrics", "otelcol_health"),
            ready=at["otelcol_health"],
            url=at["otlp_http"],
            serves=f"OTLP over HTTP; over gRPC on {ports.otlp_grpc}",
        ),
    ]


def prepare(ports: Ports, data: Path, alerts: Alerts | None = None) -> list[str]:
    """Makes the folders, and what configures Prometheus (the committed files, the targets of these ports) and
    Alertmanager; a line for each channel of alerts that is on or off.

    Raises:
        ToolsError: what configures the alerts is wrong.
    """
    alerts = alerts or Alerts()
    folder = data / "prometheus"
    targets = folder / "targets"
    targets.mkdir(parents=True, exist_ok=True)
    for committed in (ROOT / "prometheus").iterdir():
        link = folder / committed.name
        link.unlink(missing_ok=True)
        link.symlink_to(alerts.rules.absolute() if committed.name == "rules" else committed)
    scraped = {
        "marketprism-collector": ports.collector,
        "otelcol": ports.otelcol_metrics,
        "jaeger": ports.jaeger_metrics,
        "loki": ports.loki,
        "prometheus": ports.prometheus,
        "alertmanager": ports.alertmanager,
        "bridge": ports.bridge,
    }
    for job, port in scraped.items():
        labels = {"labels": {"instance": alerts.instance}} if job == "marketprism-collector" else {}
        (targets / f"{job}.json").write_text(json.dumps([{"targets": [f"{HOST}:{port}"], **labels}]) + "\n")
    token = data / "bridge-token"
    if not token.exists():
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
    try:
        settings = read(alerts.variables(ports, data))
    except AlertingError as error:
        raise ToolsError(str(error)) from error
    write(settings, data / "alertmanager")
    return said(settings)


def occupied(component: Component) -> list[str]:
    """A sentence for each of its ports that somebody else holds."""
    return [
        f"port {port} of {component.name} is in use: free it, or set {variable(name)} to another"
        for name, port in component.takes.items()
        if not bindable(port)
    ]


def bindable(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are only fading out is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
