"""The real programs that MarketPrism is run and tested against, built and run on this machine without containers.

`build` makes them from pinned Go modules, `stack` runs them. It is part of the checkout only and never of the wheel,
and needs nothing but Python's standard library, so that `make tools` works before anything else is installed. It must
never import the product, nor the product it.
"""
