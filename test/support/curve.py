"""The other side of CURVE and PLAIN, and of certificates: curve.py what arguments..."""
import signal
import sys

import zmq
import zmq.auth


def certificates(action, *arguments):
    if action == "create":
        folder, name = arguments
        zmq.auth.create_certificates(folder, name, {"name": "Zoë", "e-mail": "zoe@example.com"})
    elif action == "load":
        for key in zmq.auth.load_certificate(arguments[0]):
            print("none" if key is None else key.decode())
    elif action == "folder":
        print("\n".join(sorted(key.decode() for key in zmq.auth.load_certificates(arguments[0]))))


def talk(side, endpoint, *arguments):
    socket = zmq.Context.instance().socket(zmq.PULL if side == "curve-server" else zmq.PUSH)
    if side == "curve-server":
        (secret,) = arguments
        socket.curve_server = True
        socket.curve_secretkey = secret.encode()
        socket.bind(endpoint)
        for _ in range(10):
            print(socket.recv_string())
        return
    if side == "curve-client":
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (key.encode() for key in arguments)
    elif side == "plain-client":
        socket.plain_username, socket.plain_password = (text.encode() for text in arguments)
    socket.linger = 0
    socket.connect(endpoint)
    # It waits for a server that lets it in, perhaps for ever, until the test ends it.
    socket.send_string(f"{side} of PyZMQ")
    signal.pause()


what, *rest = sys.argv[1:]
certificates(*rest) if what == "certificates" else talk(what, *rest)
