"""Receives messages with PyZMQ's asyncio and prints the microseconds for each.

pyzmq.py backlog|tcp MESSAGES
"""
import asyncio
import sys
import time
from multiprocessing import Event, Process

import zmq
import zmq.asyncio

source, messages = sys.argv[1], int(sys.argv[2])
text = '"' + "a" * 14 + '"'


def send(endpoint, queued):
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.sndhwm = 0
        socket.connect(endpoint)
        for _ in range(messages):
            socket.send_string(text)
        queued.set()


async def main():
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.PULL)
    socket.rcvhwm = 0 if source == "backlog" else 1000
    sender = push = None
    if source == "backlog":
        socket.bind("inproc://backlog")
        push = zmq.Context.shadow(context.underlying).socket(zmq.PUSH)
        push.sndhwm = 0
        push.connect("inproc://backlog")
        for _ in range(messages):
            push.send_string(text)
    else:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        queued = Event()
        sender = Process(target=send, args=(f"tcp://127.0.0.1:{port}", queued))
        sender.start()
        await socket.recv_string()
        queued.wait()
    received = 0 if sender is None else 1
    start = time.perf_counter()
    total = 0
    for _ in range(messages - received):
        total += len(await socket.recv_string())
    elapsed = time.perf_counter() - start
    assert total == 16 * (messages - received)
    if sender is not None:
        sender.join()
    print(elapsed * 1e6 / (messages - received))
    if push is not None:
        push.close(linger=0)
    socket.close(linger=0)
    context.term()


asyncio.run(main())
