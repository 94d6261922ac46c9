"""Workload (c): a consumer that never catches up, cancelled while it has a backlog."""

import asyncio
import os
import sys

import zmq
import zmq.asyncio

from proof import Ledger, cancel, count, progress, report, rng, watch


async def main():
    watch(asyncio.get_running_loop())
    ledger = Ledger(60_000_000)
    context = zmq.asyncio.Context()
    endpoint = f"inproc://busy-{os.getpid()}"
    push = context.socket(zmq.PUSH)
    push.bind(endpoint)
    pull = context.socket(zmq.PULL)
    pull.connect(endpoint)
    enough = False

    def took(text):
        ledger.took(int(text))

    # What people put around a receive, as in busy consumers of effect-zmq.
    async def loop():
        while True:
            took(await pull.recv_string())

    async def multipart():
        while True:
            took((await pull.recv_multipart())[0])

    async def wait_for():
        while True:
            took(await asyncio.wait_for(pull.recv_string(), 3600))

    async def timeout():
        while True:
            async with asyncio.timeout(3600):
                text = await pull.recv_string()
            took(text)

    async def race():
        never = asyncio.get_running_loop().create_future()
        while True:
            receive = asyncio.ensure_future(pull.recv_string())
            try:
                await asyncio.wait([receive, never], return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                # The cancel leaves the receive alone: it has to be cancelled, too.
                if receive.done():
                    took(receive.result())
                receive.cancel()
                raise
            took(receive.result())

    async def gather():
        while True:
            for text in await asyncio.gather(pull.recv_string()):
                took(text)

    async def generator():
        async def texts():
            while True:
                yield await pull.recv_string()

        async for text in texts():
            took(text)

    consumers = [loop, multipart, race, gather, generator]
    if sys.version_info >= (3, 11):
        consumers.append(timeout)
    if sys.version_info >= (3, 12):
        # Before, it swallows each cancel that meets a message (CPython issue 86296): with a backlog, all of them.
        consumers.append(wait_for)

    async def flood():
        while not enough:
            for _ in range(512):
                await push.send_string(str(ledger.sent))
                ledger.sent += 1
            await asyncio.sleep(0)

    sender = asyncio.create_task(flood())
    for number in range(count):
        consumer = asyncio.create_task(consumers[number % len(consumers)]())
        for _ in range(1 + rng.randrange(4)):
            await asyncio.sleep(0)
        await cancel(consumer)
        progress(f"{number} interrupts, {ledger.sent} sent")
    enough = True
    # The burst that is half sent is sent to its end: there is room as this goes on.
    while not sender.done():
        while await pull.poll(0):
            ledger.found_at_end(int(await pull.recv_string(zmq.NOBLOCK)))
        await asyncio.sleep(0)
    await ledger.drain(pull)
    notes = [f"{count} interrupts of a consumer with a backlog"]
    if wait_for not in consumers:
        notes.append("without asyncio.wait_for, which this Python cannot cancel while there is a backlog")
    report(ledger.books(), notes)
    context.destroy(linger=0)


asyncio.run(main())
