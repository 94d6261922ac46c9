"""Ends of PyZMQ, each in a thread: told what to do, and telling how far it is, in lines of JSON."""
import hashlib
import json
import sys
import threading
import time

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

context = zmq.Context.instance()
authenticator = ThreadAuthenticator(context)
authenticator.start()
lock = threading.Lock()
made = {}


def tell(**what):
    with lock:
        print(json.dumps(what), flush=True)


def messages_of(plan):
    key = json.dumps(plan)
    if key not in made:
        number = 0
        messages = []
        for sizes in plan:
            frames = []
            for size in sizes:
                frames.append(hashlib.shake_128(str(number).encode()).digest(size))
                number += 1
            messages.append(frames)
        made[key] = messages
    return made[key]


class Stopped(Exception):
    pass


class End(threading.Thread):
    def __init__(self, id, spec):
        super().__init__(daemon=True)
        self.id = id
        self.spec = spec
        self.found = threading.Event()
        self.go = threading.Event()
        self.stopped = threading.Event()

    def run(self):
        socket = None
        try:
            socket = self.open()
            self.tell(bound=socket.getsockopt_string(zmq.LAST_ENDPOINT) if self.spec["binds"] else "")
            self.send_all(socket) if self.spec["role"] == "sends" else self.receive_all(socket)
        except Stopped:
            pass
        except Exception as error:
            self.tell(wrong=f"{type(error).__name__}: {error}")
        finally:
            self.stopped.wait()
            if socket is not None:
                socket.close(linger=0)
            self.tell(closed=True)

    def tell(self, **what):
        tell(id=self.id, **what)

    def open(self):
        spec = self.spec
        kind = spec["type"]
        socket = context.socket(getattr(zmq, kind.upper()))
        socket.sndhwm = socket.rcvhwm = spec["mark"]
        if spec["mechanism"] == "PLAIN":
            name, password = spec["credentials"]
            if spec["binds"]:
                socket.plain_server = True
                socket.zap_domain = b"interop"
            else:
                socket.plain_username = name.encode()
                socket.plain_password = password.encode()
        elif spec["mechanism"] == "CURVE":
            keys = {name: key.encode() for name, key in spec["keys"].items()}
            if spec["binds"]:
                socket.curve_server = True
                socket.curve_secretkey = keys["serverSecret"]
                socket.zap_domain = b"interop"
            else:
                socket.curve_publickey = keys["clientPublic"]
                socket.curve_secretkey = keys["clientSecret"]
                socket.curve_serverkey = keys["serverPublic"]
        if kind in ("pub", "xpub"):
            socket.setsockopt(zmq.XPUB_NODROP, 1)
        if kind == "sub":
            socket.subscribe(b"")
        if kind in ("dealer", "router"):
            socket.routing_id = self.name_of(spec["role"])
        if kind == "router":
            socket.router_mandatory = 1
        socket.bind(spec["endpoint"]) if spec["binds"] else socket.connect(spec["endpoint"])
        if kind == "xsub":
            socket.send(b"\x01")
        return socket

    def name_of(self, role):
        return self.spec["names"][role].encode()

    def recv(self, socket):
        while not socket.poll(50):
            if self.stopped.is_set():
                raise Stopped
        return socket.recv_multipart()

    def wait(self, event):
        while not event.wait(0.05):
            if self.stopped.is_set():
                raise Stopped

    def check(self, found, expected, what):
        assert len(found) == len(expected), f"{what}: {len(found)} frames, and not {len(expected)}"
        for i, (frame, right) in enumerate(zip(found, expected)):
            assert len(frame) == len(right), f"{what}: frame {i} has {len(frame)} octets, and not {len(right)}"
            assert frame == right, f"{what}: frame {i} of {len(frame)} octets differs"

    def send_all(self, socket):
        spec = self.spec
        while spec["type"] in ("pub", "xpub") and not self.found.wait(0.001):
            if self.stopped.is_set():
                raise Stopped
            try:
                socket.send(spec["probe"].encode(), zmq.DONTWAIT)
            except zmq.Again:
                pass
        head = [self.name_of("receives")] if spec["type"] == "router" else [] if spec["flows"] or spec["type"] == "req" else [b""]
        for i, message in enumerate(messages_of(spec["plan"])):
            self.send(socket, head + message, i == 0)
            if not spec["flows"]:
                reply = self.recv(socket)
                self.check(reply, (head if spec["type"] == "dealer" else []) + message, f"reply {i}")
        self.tell(sent=True)

    def send(self, socket, frames, may_be_unknown):
        is_stuck = False
        while not self.stopped.is_set():
            try:
                socket.send_multipart(frames, zmq.DONTWAIT)
                break
            except zmq.Again:
                if not is_stuck:
                    self.tell(stuck=True)
                    is_stuck = True
                socket.poll(50, zmq.POLLOUT)
                if self.spec["type"] in ("router", "pub", "xpub"):
                    # These say that there is always room.
                    time.sleep(0.001)
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH or not may_be_unknown:
                    raise
                time.sleep(0.001)
        if is_stuck:
            self.tell(stuck=False)

    def receive_all(self, socket):
        spec = self.spec
        probe = [spec["probe"].encode()]
        publishes = spec["peer"] in ("pub", "xpub")
        is_router = spec["type"] == "router"
        if publishes:
            self.recv(socket)
            self.tell(found=True)
        for i, expected in enumerate(messages_of(spec["plan"])):
            if i in spec["gates"]:
                self.tell(waits=True)
                self.wait(self.go)
                self.go.clear()
            message = self.recv(socket)
            while publishes and message == probe:
                message = self.recv(socket)
            if not spec["flows"]:
                socket.send_multipart(message)
            body = message
            if is_router:
                body = message[1:] if spec["flows"] else message[message.index(b"") + 1 :]
                if spec["peer"] != "req":
                    self.check(message[:1], [self.name_of("sends")], f"name {i}")
            self.check(body, expected, f"message {i}")
        self.tell(received=True)


ends = {}
first = json.loads(sys.stdin.readline())
authenticator.configure_plain("interop", dict([first["credentials"]]))
authenticator.configure_curve("interop", zmq.auth.CURVE_ALLOW_ANY)
for line in sys.stdin:
    told = json.loads(line)
    if "spec" in told:
        ends[told["id"]] = End(told["id"], told["spec"])
        ends[told["id"]].start()
    elif told["do"] == "stop":
        end = ends.pop(told["id"])
        end.stopped.set()
        end.go.set()
    else:
        getattr(ends[told["id"]], told["do"]).set()
