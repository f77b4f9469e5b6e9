"""Collects market data from exchanges and proves how fresh, complete and correct it is."""
