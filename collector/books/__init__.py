"""Order books: one book, one sync state machine, integrity verdicts. No I/O, no clock, no telemetry."""
