"""Binance spot: `wire` writes its messages, `venue` speaks its WebSocket, `rest` answers its REST API.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
https://developers.binance.com/docs/binance-spot-api-docs/rest-api
"""
