"""The names of Alpaca's key headers, as ASGI writes them."""

KEY, SECRET = b"apca-api-key-id", b"apca-api-secret-key"
