"""How the stack starts, watches and stops processes, with small ones of our own."""

import os
import sys
from pathlib import Path

import pytest

from tools import stack as module
from tools.components import HOST, Component, Ports
from tools.programs import ToolsError
from tools.stack import Stack

pytestmark = pytest.mark.full

SERVER = """
import http.server, signal, sys, threading
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer)
def stop(*_):
    with open(sys.argv[2], "a") as ends:
        ends.write(sys.argv[3] + "\\n")
    threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, signal.SIG_IGN if len(sys.argv) > 4 else stop)
server.serve_forever()
"""
DYING = "import time; print('first line'); print('no room for the answer', flush=True); raise SystemExit(3)"


def part(data: Path, name: str, *command: str, port: int) -> Component:
    return Component(
        name=name,
        command=(sys.executable, "-c", *command),
        takes={"prometheus": port},
        ready=f"http://{HOST}:{port}/",
        url=f"http://{HOST}:{port}",
        serves="nothing",
        environment={},
        folder=data,
        log=data / f"{name}.log",
    )


def server(data: Path, name: str, port: int, *options: str) -> Component:
    return part(data, name, SERVER, str(port), str(data / "ends"), name, *options, port=port)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_all_are_stopped_the_last_started_first(tmp_path: Path) -> None:
    free = Ports.free()
    parts = [server(tmp_path, "one", free.jaeger), server(tmp_path, "two", free.prometheus)]
    said = list[str]()
    with Stack(parts=parts, data=tmp_path, say=said.append) as stack:
        pids = [process.pid for _, process in stack.running]
        stack.check()
    assert (tmp_path / "ends").read_text().split() == ["two", "one"]
    assert not any(alive(pid) for pid in pids)
    ready = [line for line in said if not line.startswith("alerts")]  # those say which channels are on
    assert [line.split()[0] for line in ready] == ["one", "two"]
    assert all("API only" in line and str(tmp_path / line.split()[0]) in line for line in ready)


def test_one_that_dies_while_starting_is_named_with_its_last_words_and_the_others_are_stopped(tmp_path: Path) -> None:
    free = Ports.free()
    parts = [server(tmp_path, "one", free.jaeger), part(tmp_path, "two", DYING, port=free.prometheus)]
    stack = Stack(parts=parts, data=tmp_path)
    with (
        pytest.raises(ToolsError, match=r"(?s)two ended with exit code 3.*first line\n  no room for the answer"),
        stack,
    ):
        pytest.fail("it started")
    assert stack.running == []


def test_one_that_dies_later_is_named(tmp_path: Path) -> None:
    free = Ports.free()
    with Stack(parts=[server(tmp_path, "one", free.jaeger)], data=tmp_path) as stack:
        process = stack.running[0][1]
        process.kill()
        process.wait()
        with pytest.raises(ToolsError, match=r"one ended with exit code -9"):
            stack.check()


def test_one_that_does_not_stop_is_killed_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOPPED_WITHIN", 0.3)
    free, said = Ports.free(), list[str]()
    with Stack(parts=[server(tmp_path, "deaf", free.jaeger, "deaf")], data=tmp_path, say=said.append) as stack:
        pid = stack.running[0][1].pid
    assert not alive(pid)
    assert said[-1] == "deaf did not stop within 0 s: killed"


def test_one_that_never_gets_ready_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READY_WITHIN", 0.3)
    silent = part(tmp_path, "silent", "import time; time.sleep(600)", port=Ports.free().jaeger)
    with pytest.raises(ToolsError, match="silent is not ready after 0 s"), Stack(parts=[silent], data=tmp_path):
        pytest.fail("it started")
