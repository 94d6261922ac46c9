"""A client in Python of the service in python-client.ts: JSON in one frame, both ways."""

import json
import sys

import zmq

socket = zmq.Context.instance().socket(zmq.REQ)
socket.setsockopt(zmq.RCVTIMEO, 10_000)
socket.setsockopt(zmq.LINGER, 0)
socket.connect(sys.argv[1])
for request in [{"a": 7, "b": 2}, {"a": 7, "b": 0}, {"nonsense": True}]:
    socket.send_json(request)
    print(json.dumps(socket.recv_json()))
