"""Reads values in MessagePack, one a line in hex; answers with type and bytes."""
import sys

import msgpack

for line in sys.stdin:
    value = msgpack.unpackb(bytes.fromhex(line), strict_map_key=False)
    print(type(value).__name__, msgpack.packb(value).hex())
