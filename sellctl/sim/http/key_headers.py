"""The names of Alpaca's key headers in ASGI's form: bytes in lower case."""

KEY, SECRET = b"apca-api-key-id", b"apca-api-secret-key"
