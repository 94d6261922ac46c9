"""Sends what the test expects to receive, or expects what the test sends: pushpull.py push|pull endpoint."""
import sys
import zmq

MESSAGES = [[b"text"], ["grüße".encode()], [b""], [bytes(range(256))], [b"a", b"", b"\x00\xff", b"x" * 100_000]]

role, endpoint = sys.argv[1:]
context = zmq.Context()
socket = context.socket(zmq.PUSH if role == "push" else zmq.PULL)
socket.connect(endpoint)
if role == "push":
    for message in MESSAGES:
        socket.send_multipart(message)
    for number in range(500):
        socket.send_string(str(number))
else:
    for message in MESSAGES:
        received = socket.recv_multipart()
        assert received == message, received
    for number in range(500):
        assert socket.recv_string() == str(number)
    print("received all")
context.destroy(linger=5000)
