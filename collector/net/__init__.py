"""Sockets, REST, budgets, reconnects: bytes in and out. This package knows no markets and imports no venue, and it
emits no telemetry.

What happens here is told through hooks that receive frozen details; logs, metrics or nothing plug in.
"""
