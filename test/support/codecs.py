"""Takes messages of a topic, a header in JSON and a body in MessagePack, and answers in kind: codecs.py endpoint."""
import json
import sys

import msgpack
import zmq

context = zmq.Context()
socket = context.socket(zmq.PAIR)
socket.connect(sys.argv[1])
topic = "begin"
while topic != "end":
    frames = socket.recv_multipart()
    topic = frames[0].decode()
    header = json.loads(frames[1])
    body = msgpack.unpackb(frames[2], timestamp=3)
    body = {
        "pixels": body["pixels"][::-1],
        "taken": body["taken"],
        "size": body["size"] + 1,
        "scale": float("nan"),
        "labels": [str(type(body[key]).__name__) for key in sorted(body)],
    }
    header = json.dumps({**header, "by": "python"}).encode()
    socket.send_multipart([topic.encode(), header, msgpack.packb(body, datetime=True)])
context.destroy(linger=-1)
