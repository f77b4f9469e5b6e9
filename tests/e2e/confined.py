"""A collector that is given little: a small disk for its journal, and a memory limit that can be set while it runs.

It lives in a mount namespace of its own, which any user may make where Linux allows it; no other process sees what is
mounted there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.rig import Rig, poll_until

DISK = 256 * 1024 * 1024
PLENTY = 1 << 40
_SCRIPT = """
mount -t tmpfs -o size="$1" tmpfs "$2" && mount -t tmpfs tmpfs /sys/fs/cgroup &&
echo "$3" > /sys/fs/cgroup/memory.max && shift 3 && exec "$@"
"""


def possible() -> bool:
    """Whether this machine lets us."""
    try:
        tried = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return tried.returncode == 0


class Confined(Rig):
    """As Rig. `pid` is the collector's own: nothing stands between."""

    def start(self, *arguments: str, **changes: object) -> None:
        """See Rig."""
        self.journal.mkdir(exist_ok=True)
        command = ["unshare", "-rm", "sh", "-c", _SCRIPT, "sh", str(DISK), str(self.journal), str(PLENTY)]
        command += [sys.executable, "-m", "collector", "run", "--config", str(self.config(**changes)), *arguments]
        environment = {**os.environ, **self.environment}
        self.collector = subprocess.Popen(command, stderr=self._log, stdout=self._log, env=environment)
        poll_until(lambda: self.get("/live"), "the collector answers", 20)

    def inside(self, path: Path) -> Path:
        """A path as the collector sees it."""
        assert self.collector is not None
        return Path(f"/proc/{self.collector.pid}/root{path}")

    def limit_memory(self, size: int) -> None:
        """From now on."""
        self.inside(Path("/sys/fs/cgroup/memory.max")).write_text(f"{size}\n")

    def fill_disk(self, ratio: float) -> None:
        """Up to this part of it."""
        with self.inside(self.journal / "filler").open("wb") as file:
            file.write(bytes(int(DISK * ratio)))

    def empty_disk(self) -> None:
        """Take the filler away."""
        self.inside(self.journal / "filler").unlink()
