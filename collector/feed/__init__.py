"""Live, replay and record: three drivers of the same venue cores."""
