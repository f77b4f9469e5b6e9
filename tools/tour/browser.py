"""A photograph of a page that draws itself, by a headless Chromium that is told what to click first.

Owns the browser's process, whose profile is new and gone afterwards. It speaks the DevTools protocol, for an option of
the command line can photograph a page but not open what is folded: https://chromedevtools.github.io/devtools-protocol
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import ClientSession, ClientWebSocketResponse

from tools.programs import ToolsError

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "about:blank",
)
WITHIN_S = 30.0
T = TypeVar("T")


async def photograph(browser: str, profile: Path, page: str, clicks: str, size: tuple[int, int]) -> bytes:
    """A page as PNG. `clicks`: JavaScript that is called until it is true, which is when the page is as wanted.

    Raises:
        ToolsError: the browser or the page did not come so far.
    """
    command = (browser, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", *FLAGS)
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        return await _taken(profile / "DevToolsActivePort", page, clicks)
    finally:
        process.terminate()
        await process.wait()


async def _taken(where: Path, page: str, clicks: str) -> bytes:
    async def port() -> str:
        return _port(where)

    at = await _until(port, "the browser answers")
    async with ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{at}/json/list") as answer:
            (tab,) = [one for one in await answer.json() if one["type"] == "page"]
        async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            await _call(socket, "Page.navigate", url=page)

            async def as_wanted() -> bool:
                answer = await _call(socket, "Runtime.evaluate", expression=clicks, returnByValue=True)
                return answer["result"].get("value") is True

            await _until(as_wanted, f"{page} is as wanted")
            return base64.b64decode((await _call(socket, "Page.captureScreenshot", format="png"))["data"])


def _port(where: Path) -> str:
    """The first line of the file that the browser writes once it listens."""
    return where.read_text(encoding="utf-8").partition("\n")[0] if where.exists() else ""


async def _call(socket: ClientWebSocketResponse, method: str, **parameters: object) -> dict[str, Any]:
    """One at a time, so that the next answer with an id is ours; events have none."""
    await socket.send_json({"id": 1, "method": method, "params": parameters})
    while True:
        answer = await socket.receive_json()
        if "error" in answer:
            raise ToolsError(f"{method}: {answer['error']}")
        if "id" in answer:
            return dict(answer["result"])


async def _until(check: Callable[[], Awaitable[T]], sentence: str) -> T:
    deadline = time.monotonic() + WITHIN_S
    while not (found := await check()):
        if time.monotonic() > deadline:
            raise ToolsError(f"not within {WITHIN_S:.0f} s: {sentence}")
        await asyncio.sleep(0.1)
    return found
