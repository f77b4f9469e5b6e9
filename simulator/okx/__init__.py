"""OKX v5, spot and swaps: `wire` writes its messages, `books` its book channel, `venue` speaks its WebSocket, `rest`
answers its REST API.

It owns nothing but the way to them. https://www.okx.com/docs-v5/en/
"""
