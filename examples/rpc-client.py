"""A client of RPC in Python, for a server with jsonRpc: a call, an error, a notification and a stream, which is acknowledged."""

import itertools
import json
import sys

import zmq

socket = zmq.Context.instance().socket(zmq.DEALER)
socket.setsockopt(zmq.RCVTIMEO, 10_000)
socket.connect(sys.argv[1])
ids = itertools.count(1)


def send(method, params=None, **more):
    socket.send_json({"jsonrpc": "2.0", "method": method, "params": params, **more})


def replies(method, params=None):
    """Each chunk of a stream, or the one result of a call."""
    send(method, params, id=(id := next(ids)))
    while True:
        frame = socket.recv()
        if frame[:1] == b"\0":
            raise ConnectionError(frame[2:].decode() or "the server has gone")
        reply = json.loads(frame)
        if reply.get("id") != id:
            continue
        if "error" in reply:
            raise RuntimeError(json.dumps(reply["error"]["data"]))
        yield reply.get("result")
        if not reply.get("chunk"):
            return
        send("@effect/rpc/Ack", {"requestId": id})


send("note", {"text": "hello from Python"})
print(next(replies("nameOf", {"id": 1})))
try:
    next(replies("nameOf", {"id": 7}))
except RuntimeError as error:
    print(error)
print(sum(sum(chunk) for chunk in replies("count", {"to": 1000}) if chunk))
