"""Coinbase Advanced Trade, spot: `wire` writes its messages, `venue` speaks its WebSocket, `rest` answers its REST API.

It owns nothing but the way to them.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview
"""
