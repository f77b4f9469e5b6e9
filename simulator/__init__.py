"""The exchanges on loopback: their wire protocols, limits and headers, with a ledger of the truth and faults on demand.

It owns the stand-ins that the collector is tested and demonstrated against. It must never import `collector`, nor be
imported by it: a bug shared by both would hide from every test, so its book, checksum and JSON are its own. A venue is
one package (`binance`, `kraken`) named in `registry`; everything that venues share stands beside them.
"""
