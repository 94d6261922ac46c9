"""Publishes to the test when it has subscribed, or subscribes to it: pubsub.py pub|sub endpoint."""
import sys
import zmq

MESSAGES = [[b"news.a"], [b"weather.a", b"", b"\x00\xff"], ["weather.ü".encode(), "grüße".encode()], [b"weather.end"]]

role, endpoint = sys.argv[1:]
context = zmq.Context()
if role == "pub":
    socket = context.socket(zmq.XPUB)
    socket.connect(endpoint)
    assert socket.recv() == b"\x01weather."
    for message in MESSAGES:
        socket.send_multipart(message)
else:
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, b"weather.")
    socket.connect(endpoint)
    for message in MESSAGES[1:]:
        received = socket.recv_multipart()
        assert received == message, received
    print("received all")
context.destroy(linger=5000)
