"""`make stack`: the real OpenTelemetry Collector, Prometheus, Alertmanager, bridge and Jaeger here, until Ctrl-C.

Owns the processes: it starts them in order, waits until each answers, watches them, and stops all in the reverse
order, senders first so that what they hold still arrives. It must never leave a process behind, nor hide that one
died: a dead component is named with the last lines of its log and takes the rest down with it. Tests use `Stack` as a
context manager on free ports.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self

from tools.components import Alerts, Component, Ports, components, occupied, prepare
from tools.programs import ROOT, ToolsError

DATA = ROOT / ".stack"
READY_WITHIN = 60.0
STOPPED_WITHIN = 15.0
POLL = 0.1
LAST_LINES = 15


def say(line: str) -> None:
    """One line to whoever is waiting, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def get(url: str) -> tuple[int, str, str]:
    """Status, content type and body of a page; status 0 when nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback addresses
            return answer.status, answer.headers.get_content_type(), answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type(), error.read().decode(errors="replace")
    except OSError:
        return 0, "", ""


def has_page(url: str) -> bool:
    """Whether a browser sees something there: what a build without web assets shows loads no script, or is an error."""
    status, kind, body = get(url)
    return status == 200 and kind == "text/html" and re.search(r"<script[^>]* src=", body) is not None


class Stack:
    """The running stack.

    Args:
        ports: where everything listens; the design's ports by default.
        only: names of the components to start; all by default.
        data: folder for data and logs; kept.
        alerts: who is told of alerts, of which collector, by which rules; the bridge's log alone by default.
        parts: what to run instead of the stack's own components.
        say: receives a line for each component that is ready.

    Raises:
        ToolsError: on entering: a program is not built, a port is in use, a component dies or does not answer in time.
    """

    def __init__(
        self,
        *,
        ports: Ports | None = None,
        only: Iterable[str] | None = None,
        data: Path = DATA,
        alerts: Alerts | None = None,
        parts: Sequence[Component] | None = None,
        say: Callable[[str], None] = say,
    ) -> None:
        self.ports = ports or Ports()
        self.data = data.absolute()
        self.say = say
        self.alerts = alerts or Alerts()
        everything = components(self.ports, self.data, self.alerts) if parts is None else list(parts)
        self.components = chosen(everything, only)
        self.running: list[tuple[Component, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts all, returns when all are ready."""
        taken = [sentence for component in self.components for sentence in occupied(component)]
        if taken:
            raise ToolsError("\n".join(taken))
        missing = [component.name for component in self.components if not Path(component.command[0]).is_file()]
        if missing:
            raise ToolsError(f"not built yet: {', '.join(missing)}; run `make tools`")
        channels = prepare(self.ports, self.data, self.alerts)
        (self.data / ".gitignore").write_text("*\n")  # what a run leaves is nobody's to commit
        for component in self.components:
            component.log.unlink(missing_ok=True)
            self._spawn(component)
        for component in self.components:
            self.wait_ready(component)
            answers = "a page" if has_page(component.url) else "API only, no page"
            self.say(f"{component.name:<12} {component.url}  {answers}: {component.serves}; log {component.log}")
        for channel in channels:
            self.say(f"alerts by {channel}")

    def _spawn(self, component: Component) -> None:
        # A person's own OTEL_ settings are for programs that send telemetry, not for these; the bridge has its own.
        others = ("OTEL_", "MARKETPRISM_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        with component.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own arguments
                component.command,
                cwd=component.folder,
                env={**inherited, **component.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us alone, so that we stop them in order
            )
        self.running.append((component, process))

    def begin(self, name: str) -> None:
        """Starts one component again, returns when it is ready."""
        component = next(component for component in self.components if component.name == name)
        self._spawn(component)
        self.wait_ready(component)

    def end(self, name: str) -> None:
        """Stops one component, as if it had failed."""
        number = next(number for number, (component, _) in enumerate(self.running) if component.name == name)
        component, process = self.running.pop(number)
        self._end(component, process)

    def wait_ready(self, component: Component) -> None:
        """Returns when the component says that it is ready.

        Raises:
            ToolsError: it, or another one, died; or it did not get ready in time.
        """
        until = time.monotonic() + READY_WITHIN
        while get(component.ready)[0] != 200:
            self.check()
            if time.monotonic() > until:
                raise ToolsError(
                    f"{component.name} is not ready after {READY_WITHIN:.0f} s ({component.ready}); "
                    f"the end of {component.log}:\n{last_lines(component.log)}"
                )
            time.sleep(POLL)

    def check(self) -> None:
        """Returns while all live.

        Raises:
            ToolsError: one has ended; its name, exit code and last log lines.
        """
        for component, process in self.running:
            code = process.poll()
            if code is not None:
                raise ToolsError(
                    f"{component.name} ended with exit code {code}; "
                    f"the end of {component.log}:\n{last_lines(component.log)}"
                )

    def stop(self) -> None:
        """Stops all that still run, the last started first; kills what does not end in time, and says so."""
        try:
            while self.running:
                self._end(*self.running[-1])
                self.running.pop()
        finally:  # whoever interrupts even this still leaves nothing behind
            for _, process in self.running:
                process.kill()

    def _end(self, component: Component, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.say(f"{component.name} did not stop within {STOPPED_WITHIN:.0f} s: killed")
            process.kill()
            process.wait()


def chosen(everything: Sequence[Component], only: Iterable[str] | None) -> list[Component]:
    """The components of these names, in the order of their start.

    Raises:
        ToolsError: there is no component of a name.
    """
    names = [component.name for component in everything]
    wanted = names if only is None else list(only)
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ToolsError(f"there is no component {name!r}: expected {', '.join(names)}{hint}")
    return [component for component in everything if component.name in wanted]


def last_lines(log: Path) -> str:
    """The end of a log, indented."""
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join(f"  {line}" for line in lines)


def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Ctrl-C and SIGTERM are one; a second one must not disturb the stopping."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 stopped as asked, 1 something failed, 2 bad arguments."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.stack", description="Run the real stack until Ctrl-C.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="start only these components")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="data and logs (default: %(default)s)")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        stack = Stack(
            ports=Ports.from_environment(os.environ),
            only=options.names or None,
            data=options.data,
            alerts=Alerts.from_environment(os.environ),
        )
        with stack:
            say("all ready; Ctrl-C stops them")
            while True:
                stack.check()
                time.sleep(0.5)
    except KeyboardInterrupt:
        say("stopped")
        return 0
    except ToolsError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
