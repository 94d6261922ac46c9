"""Workload (b): one consumer, cancelled in every way that asyncio has."""

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
    cancellations = 0

    async def take():
        ledger.took(int(await pull.recv_string()))

    async def take_many():
        while True:
            await take()

    async def by_cancel():
        task = asyncio.create_task(take_many())
        await some_moment()
        await cancel(task)

    async def by_wait_for():
        try:
            ledger.took(int(await asyncio.wait_for(pull.recv_string(), rng.randrange(3) / 1000)))
        except asyncio.TimeoutError:
            pass

    async def by_wait():
        receive = asyncio.ensure_future(pull.recv_string())
        await asyncio.wait([receive], timeout=rng.randrange(3) / 1000)
        if receive.done():
            ledger.took(int(receive.result()))
        else:
            receive.cancel()

    async def by_gather():
        async def fail():
            await some_moment()
            raise RuntimeError("sibling")

        task = asyncio.create_task(take_many())
        try:
            await asyncio.gather(task, fail())
        except RuntimeError:
            await cancel(task)

    ways = [by_cancel, by_wait_for, by_wait, by_gather]

    async def consume():
        nonlocal cancellations
        while True:
            cancellations += 1
            await rng.choice(ways)()

    consumer = asyncio.create_task(consume())
    while ledger.sent < count:
        for _ in range(rng.randrange(2000 if rng.randrange(10) == 0 else 100)):
            if ledger.sent < count:
                await push.send_string(str(ledger.sent))
                ledger.sent += 1
        await some_moment()
        # Now the consumer catches up, and now it does not.
        most = rng.randrange(2) * 3000
        for _ in range(50):
            if ledger.sent - ledger.known > most:
                await asyncio.sleep(0)
        progress(f"{ledger.sent} sent")
    # As long as the consumer gets on, it may: what is left then is counted as receivable.
    left, before = 100, -1
    while left > 0 and ledger.known < ledger.sent:
        left = left - 1 if ledger.known == before else 100
        before = ledger.known
        await asyncio.sleep(0.005)
    await cancel(consumer)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await cancel(task)
    await ledger.drain(pull)
    report(ledger.books(), [f"{cancellations} cancellations of {len(ways)} kinds"])
    context.destroy(linger=0)


asyncio.run(main())
