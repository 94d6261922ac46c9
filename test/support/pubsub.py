"""Publishes to the test when it has subscribed, or subscribes to it: pubsub.py pub|topics|sub|flood endpoint."""
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
elif role == "topics":
    # Until 20,000 topics are subscribed.
    socket = context.socket(zmq.XPUB)
    socket.connect(endpoint)
    topics = set()
    while len(topics) < 20000:
        topics.add(socket.recv()[1:])
    print(len(topics))
elif role == "flood":
    socket = context.socket(zmq.XSUB)
    socket.connect(endpoint)
    for count in range(500):
        socket.send_multipart([b"\x02flood", b"x" * 500])
        socket.send(b"\x01%03d" % count)
    print(socket.recv())
else:
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, b"weather.")
    socket.connect(endpoint)
    for message in MESSAGES[1:]:
        received = socket.recv_multipart()
        assert received == message, received
    print("received all")
context.destroy(linger=5000)
