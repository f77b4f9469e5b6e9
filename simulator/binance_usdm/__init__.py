"""Binance USDⓈ-margined perpetuals: what they have beside Binance spot, whose streams and REST host they extend.

https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
"""
