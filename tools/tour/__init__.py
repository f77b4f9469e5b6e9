"""The pictures of docs/tour.md, made from a real run: `python -m tools.tour`."""
