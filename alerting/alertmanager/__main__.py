"""Writes Alertmanager's configuration and templates.

`python -m alerting.alertmanager` writes the committed sample, in which every channel is on; `--check` only says
whether it is as it would be written (exit 1 if not). `--into DIR` writes the configuration for this environment, there,
and says what is off.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from alerting.alertmanager import settings as environment
from alerting.alertmanager.routing import FILE, config
from alerting.alertmanager.settings import Bridge, Email, Settings, Slack
from alerting.alertmanager.templates import files as templates
from alerting.bridge.settings import SettingsError

ROOT = Path(__file__).parents[2]
FOLDER = Path("alerting") / "alertmanager"
SAMPLE: Final = Settings(
    slack=Slack(url_file="/run/secrets/slack-url"),
    email=Email(
        to="oncall@example.org",
        sender="marketprism@example.org",
        smarthost="smtp.example.org:587",
        username="marketprism@example.org",
        password_file="/run/secrets/email-password",  # noqa: S106 - a file's name
    ),
    bridge=Bridge(url="http://127.0.0.1:8081", token_file="/run/secrets/bridge-token"),  # noqa: S106 - a file's name
    heartbeat_url_file="/run/secrets/heartbeat-url",
)


def documents(settings: Settings) -> dict[Path, str]:
    """The text of each file, by its path in the folder of the configuration."""
    return {Path(name): text for name, text in {FILE: config(settings), **templates()}.items()}


def write(settings: Settings, folder: Path) -> None:
    """Write the configuration there."""
    for path, text in documents(settings).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def said(settings: Settings) -> list[str]:
    """A line for each channel that is on, and for each that is off."""
    on = [
        f"{channel}: on" for channel in ("email", "slack", "dingtalk", "wecom", "log") if channel in settings.channels
    ]
    on += ["heartbeat: on"] if settings.heartbeat_url_file else []
    on += [f"maintenance: {window.name}" for window in settings.maintenance]
    return [*on, *(f"{channel}: off, {why}" for channel, why in settings.off.items())]


def main(argv: Sequence[str] | None = None, root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> int:
    """Write or check; the exit code: 0, 1 a file is not up to date, 2 the environment is wrong."""
    parser = argparse.ArgumentParser(prog="python -m alerting.alertmanager", description="Write Alertmanager's files.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not up to date")
    parser.add_argument("--into", type=Path, metavar="DIR", help="write what this environment says, there")
    options = parser.parse_args(argv)
    if options.into is not None:
        try:
            settings = environment.read(environ)
        except SettingsError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        write(settings, options.into)
        sys.stdout.writelines(f"{line}\n" for line in said(settings))
        return 0
    stale = []
    for path, text in documents(SAMPLE).items():
        target = root / FOLDER / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(FOLDER / path)
    if not options.check and stale:
        write(SAMPLE, root / FOLDER)
    what = "not up to date, run python -m alerting.alertmanager" if options.check else "written"
    sys.stdout.writelines(f"{path}: {what}\n" for path in stale)
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
