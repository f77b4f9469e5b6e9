"""`python -m tools.tour`: make the pictures of docs/tour.md again, from a demo and a stack that it starts for it.

Owns the processes and the files. Both run on free ports in a folder of their own, which is gone afterwards. The
photograph of Alertmanager's page needs `chromium` on PATH; without one the last photograph stays, and that is said.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from tools.components import HOST, Ports
from tools.programs import ROOT, ToolsError
from tools.stack import Stack, interrupt, say
from tools.tour import browser
from tools.tour.walk import Walk

PICTURES = ROOT / "docs" / "tour"
BROWSER = "chromium"
GREETING = re.compile(r"http://127\.0\.0\.1:(\d+)/control.*when you are done\.\n", re.DOTALL)
READY_S = 30.0
LARGEST = 150_000
SIZE = (1000, 720)
OPEN_ALL = """(() => {
  const button = [...document.querySelectorAll("button")].find((one) => one.innerText.includes("Expand all groups"));
  if (button) button.click();
  return document.body.innerText.includes("Collapse all groups");
})()"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 made, 1 something failed, 2 bad arguments."""
    parser = argparse.ArgumentParser(prog="python -m tools.tour", description="Make the pictures of docs/tour.md.")
    parser.add_argument("--out", type=Path, default=PICTURES, metavar="DIR", help="where to (default: %(default)s)")
    out: Path = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            ports = Ports.free()
            with Stack(ports=ports, data=home / ".stack", say=lambda _: None), demo(home, ports) as (log, simulator):
                pictures = Walk(home, ports, simulator, log).walk()
                photograph(ports.alertmanager, home, out / "alertmanager.png")
    except KeyboardInterrupt:
        say("stopped")
        return 1
    except ToolsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for name, picture in pictures.items():
        (out / f"{name}.svg").write_text(picture, encoding="utf-8")
    say(f"{len(pictures)} pictures in {out}")
    return 0


@contextmanager
def demo(home: Path, ports: Ports) -> Iterator[tuple[Path, int]]:
    """A demo that exports to the stack: its output so far, and the simulator's port."""
    log = home / "demo.log"
    command = [sys.executable, "-m", "collector.demo", "--port", str(ports.collector), "--simulator-port", "0"]
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "XDG_"))}
    environment |= {"HOME": str(home), "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{ports.otlp_http}"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stderr=output, stdout=output, cwd=ROOT, env=environment)  # noqa: S603
    try:
        deadline = time.monotonic() + READY_S
        while not (said := GREETING.search(log.read_text(encoding="utf-8"))):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ToolsError(f"the demo did not start: {log.read_text(encoding='utf-8')}")
            time.sleep(0.1)
        yield log, int(said[1])
    finally:
        process.terminate()
        process.wait()


def photograph(port: int, home: Path, picture: Path) -> None:
    """Alertmanager's page with every group open, as a browser shows it.

    Raises:
        ToolsError: there was no picture, or it is too large for a page of the documents.
    """
    program = shutil.which(BROWSER)
    if program is None:
        say(f"no {BROWSER} on PATH: {picture.name} is left as it was")
        return
    page = f"http://{HOST}:{port}/#/alerts?" + urlencode({"filter": '{alertname="SequenceGaps"}'})
    taken = asyncio.run(browser.photograph(program, home / BROWSER, page, OPEN_ALL, SIZE))
    if len(taken) > LARGEST:
        raise ToolsError(f"{picture.name} has {len(taken)} bytes, more than {LARGEST}")
    picture.write_bytes(taken)


if __name__ == "__main__":
    sys.exit(main())
