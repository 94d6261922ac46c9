"""Workload (a): a receive with a time limit of 1 ms, and a cancellation at about that time."""

import asyncio

import zmq
import zmq.asyncio

from proof import Ledger, cancel, count, progress, report, rng, some_moment, watch


async def main():
    watch(asyncio.get_running_loop())
    ledger = Ledger(count)
    context = zmq.asyncio.Context()
    push = context.socket(zmq.PUSH)
    port = push.bind_to_random_port("tcp://127.0.0.1")
    pull = context.socket(zmq.PULL)
    pull.connect(f"tcp://127.0.0.1:{port}")
    interrupts = 0
    timeouts = 0

    async def receive():
        nonlocal timeouts
        while True:
            try:
                ledger.took(int(await asyncio.wait_for(pull.recv_string(), 0.001)))
            except asyncio.TimeoutError:
                timeouts += 1

    while ledger.sent < count:
        receiver = asyncio.create_task(receive())
        await some_moment()
        await push.send_string(str(ledger.sent))
        ledger.sent += 1
        await asyncio.sleep(rng.randrange(3) / 1000)
        await cancel(receiver)
        interrupts += 1
        progress(f"{ledger.sent} rounds")
    await ledger.drain(pull)
    report(ledger.books(), [f"{interrupts} interrupts", f"{timeouts} timeouts"])
    context.destroy(linger=0)


asyncio.run(main())
