"""What a message costs, measured: this collector beside cryptofeed on one stream, and the parts of our own way.

`python -m benchmarks` runs everything and `docs/benchmarks.md` explains it and keeps results. It owns no code of the
product and the product never imports it.
"""
