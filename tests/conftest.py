"""What all tests share: how hypothesis draws. Anything that one area alone needs stands in that area."""

from hypothesis import settings

# The same examples in every run, so that a red test is red for everybody. No deadline: busy cores are slow at times.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
# `make fuzz` looks for new ones, and keeps what it finds in .hypothesis for the next run. A test that sets its own
# max_examples keeps that number here too, so leave it to the profile unless the test is slow.
settings.register_profile("fuzz", max_examples=10_000, deadline=None)
settings.load_profile("repeatable")
