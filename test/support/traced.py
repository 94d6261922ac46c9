"""A service that goes on with the trace of who asks: traced.py rep endpoint. It answers until it is told to stop."""
import re
import sys
import zmq

role, endpoint = sys.argv[1:]
context = zmq.Context()
socket = context.socket(zmq.REP)
socket.connect(endpoint)
body = None
while body != b'"stop"':
    traceparent, body = socket.recv_multipart()
    trace_id, parent_id, flags = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", traceparent.decode()).groups()
    assert parent_id != "0" * 16
    socket.send_multipart([f"00-{trace_id}-00f067aa0ba902b7-{flags}".encode(), b'"' + parent_id.encode() + b'"'])
print("done")
context.destroy(linger=5000)
