"""The other side of a pattern: patterns.py pair|router|dealer|xpub|xsub|sub|stream endpoint."""
import sys
import zmq

role, endpoint = sys.argv[1:]
context = zmq.Context()
socket = context.socket(getattr(zmq, role.upper()))
if role == "sub":
    socket.subscribe(b"a")
socket.connect(endpoint)
if role in ("pair", "dealer"):
    # Gives back what it gets, until it is told to stop.
    message = None
    while message != [b"stop"]:
        message = socket.recv_multipart()
        socket.send_multipart(message)
elif role == "router":
    # Answers whoever asks.
    body = None
    while body != [b"stop"]:
        peer, *body = socket.recv_multipart()
        socket.send_multipart([peer, b"re", *body])
elif role == "xpub":
    # Sends on a topic, once somebody has subscribed, and again when it was told.
    assert socket.recv() == b"\x01a"
    socket.send_multipart([b"a1", b"\x00\xff"])
    assert socket.recv() == b"upstream"
    assert socket.recv() == b"\x00a"
elif role == "xsub":
    socket.send(b"\x01a")
    assert socket.recv_multipart() == [b"a1", b"\x00\xff"]
    socket.send(b"upstream")
    socket.send(b"\x00a")
elif role == "sub":
    assert socket.recv_multipart() == [b"a1", b"\x00\xff"]
    socket.unsubscribe(b"a")
elif role == "stream":
    # Knows who it talks to from the empty message that says that they are there.
    peer, nothing = socket.recv_multipart()
    assert nothing == b""
    socket.send_multipart([peer, b"hello over tcp"])
    text = b""
    while text != b"HELLO OVER TCP":
        text += socket.recv_multipart()[1]
print("done")
context.destroy(linger=5000)
