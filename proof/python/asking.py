"""Workload (e): requests on one REQ that are cancelled and timed out."""

import asyncio

import zmq
import zmq.asyncio

from proof import cancel, count, progress, report, rng, some_moment, watch


async def main():
    watch(asyncio.get_running_loop())
    context = zmq.asyncio.Context()
    rep = context.socket(zmq.REP)
    port = rep.bind_to_random_port("tcp://127.0.0.1")
    req = context.socket(zmq.REQ)
    req.setsockopt(zmq.REQ_RELAXED, 1)
    req.setsockopt(zmq.REQ_CORRELATE, 1)
    req.connect(f"tcp://127.0.0.1:{port}")
    handled = 0

    async def serve():
        nonlocal handled
        while True:
            question = await rep.recv()
            handled += 1
            if rng.randrange(4) == 0:
                await some_moment()
            await rep.send(b"re:" + question)

    async def ask(question):
        await req.send(question)
        return await req.recv()

    server = asyncio.create_task(serve())
    answered = wrong = given_up = failed = 0
    for number in range(count):
        question = b"q%d" % number
        patient = rng.randrange(3) == 0
        task = asyncio.ensure_future(ask(question))
        if patient:
            await asyncio.wait([task], timeout=30)
        elif rng.randrange(2) == 0:
            await asyncio.wait([task], timeout=rng.randrange(3) / 1000)
        else:
            await some_moment()
        await cancel(task)
        if not task.cancelled() and task.exception() is None:
            if task.result() == b"re:" + question:
                answered += 1
            else:
                wrong += 1
        elif patient:
            failed += 1
        else:
            given_up += 1
        progress(f"{number} requests")
    await cancel(server)
    books = {
        "sent": count - given_up,
        "delivered": answered,
        "redelivered": 0,
        "receivable": 0,
        "lost": failed,
        "duplicated": 0,
        "outOfOrder": None,
    }
    faults = [f"{wrong} replies to the wrong request"] if wrong else []
    report(books, [f"{count} requests, {given_up} given up, {handled} handled", f"wrong replies {wrong}"], faults)
    context.destroy(linger=0)


asyncio.run(main())
