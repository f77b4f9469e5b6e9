"""What the collector says of itself over HTTP: /live, /ready, /health, /metrics.

`health` judges measured facts and knows no HTTP; `server` speaks HTTP and judges nothing. Neither reaches into a feed
or the journal: the service hands the facts in. Read-only, bounded, on loopback unless told otherwise.
"""
