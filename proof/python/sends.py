"""Workload (d): sends to a socket that is full, cancelled while they wait."""

import asyncio

import zmq
import zmq.asyncio

from proof import cancel, count, progress, report, rng, some_moment, watch


async def main():
    watch(asyncio.get_running_loop())
    context = zmq.asyncio.Context()
    pull = context.socket(zmq.PULL)
    pull.rcvhwm = 1
    port = pull.bind_to_random_port("tcp://127.0.0.1")
    push = context.socket(zmq.PUSH)
    push.sndhwm = 1
    push.connect(f"tcp://127.0.0.1:{port}")
    fates = {}
    received = []
    number = 0

    async def read():
        while True:
            frames = await pull.recv_multipart()
            received.append(int(frames[0]))
            if rng.randrange(3) == 0:
                await some_moment()

    async def sender():
        nonlocal number
        while number < count:
            mine = number
            number += 1
            message = [str(mine).encode(), b"x" * rng.randrange(300), b"end"]
            task = asyncio.ensure_future(push.send_multipart(message))
            if rng.randrange(8) > 0:
                await some_moment()
            if rng.randrange(4) > 0 and not task.done():
                task.cancel()
            await asyncio.wait([task])
            fates[mine] = not task.cancelled() and task.exception() is None
            progress(f"{number} sends")

    reader = asyncio.create_task(read())
    await asyncio.gather(*[sender() for _ in range(8)])
    told = sum(fates.values())
    silent, before = 0, -1
    while silent < (1000 if before < told else 100):
        silent = silent + 1 if len(received) == before else 0
        before = len(received)
        await asyncio.sleep(0.005)
    await cancel(reader)
    sent = {n for n, fate in fates.items() if fate}
    got = set(received)
    ghosts = len(got - sent)
    books = {
        "sent": len(sent),
        "delivered": len(got & sent),
        "redelivered": 0,
        "receivable": 0,
        "lost": len(sent - got),
        "duplicated": len(received) - len(got),
        "outOfOrder": None,
    }
    faults = [f"{ghosts} ghosts: said not to be sent, and received all the same"] if ghosts else []
    report(books, [f"{number} sends, {number - len(sent)} not sent", f"ghosts {ghosts}"], faults)
    context.destroy(linger=0)


asyncio.run(main())
