"""Asks the test, or answers it until it is told to stop: reqrep.py req|rep|dealer endpoint."""
import sys
import zmq

role, endpoint = sys.argv[1:]
context = zmq.Context()
if role == "rep":
    socket = context.socket(zmq.REP)
    socket.connect(endpoint)
    request = None
    while request != [b"stop"]:
        request = socket.recv_multipart()
        socket.send_multipart([b"re", *request])
elif role == "req":
    socket = context.socket(zmq.REQ)
    socket.connect(endpoint)
    for number in range(100):
        socket.send_multipart([str(number).encode(), b"", b"\x00\xff"])
        reply = socket.recv_multipart()
        assert reply == [b"re", str(number).encode(), b"", b"\x00\xff"], reply
else:
    socket = context.socket(zmq.DEALER)
    socket.connect(endpoint)
    for number in range(100):
        socket.send_multipart([b"", str(number).encode()])
    for number in range(100):
        reply = socket.recv_multipart()
        assert reply == [b"", b"re", str(number).encode()], reply
print("done")
context.destroy(linger=5000)
