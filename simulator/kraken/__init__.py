"""Kraken spot: `wire` writes its v2 messages and checksum, `venue` speaks its WebSocket, `rest` answers its REST API.

https://docs.kraken.com/api/docs/websocket-v2/book
https://docs.kraken.com/api/docs/rest-api/get-server-time
"""
