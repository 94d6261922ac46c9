"""A PyZMQ peer of the security set-ups: a PULL that prints what became of it.

security.py certificates FOLDER NAME                  makes a pair of keys
security.py ENDPOINT null
security.py ENDPOINT plain NAME PASSWORD
security.py ENDPOINT curve SECRET_CERTIFICATE SERVER_CERTIFICATE
"""
import sys

import zmq
import zmq.auth
from zmq.utils.monitor import parse_monitor_message

if sys.argv[1] == "certificates":
    zmq.auth.create_certificates(sys.argv[2], sys.argv[3])
    sys.exit()

endpoint, mechanism, *credentials = sys.argv[1:]
context = zmq.Context()
pull = context.socket(zmq.PULL)
pull.linger = 0
if mechanism == "plain":
    pull.plain_username, pull.plain_password = (text.encode() for text in credentials)
elif mechanism == "curve":
    pull.curve_publickey, pull.curve_secretkey = zmq.auth.load_certificate(credentials[0])
    pull.curve_serverkey, _ = zmq.auth.load_certificate(credentials[1])
monitor = pull.get_monitor_socket()
pull.connect(endpoint)

refusals = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "refused with",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "does not understand",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "cut off",
}
poller = zmq.Poller()
poller.register(pull, zmq.POLLIN)
poller.register(monitor, zmq.POLLIN)
said = "nothing came"
while said == "nothing came":
    ready = dict(poller.poll(20_000))
    if not ready:
        break
    if pull in ready:
        said = f"received {pull.recv_string()}"
    elif monitor in ready:
        event = parse_monitor_message(monitor.recv_multipart())
        if event["event"] in refusals:
            status = f" {event['value']}" if event["event"] == zmq.EVENT_HANDSHAKE_FAILED_AUTH else ""
            said = refusals[event["event"]] + status
print(said)
pull.disable_monitor()
context.destroy(linger=0)
