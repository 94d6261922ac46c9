"""What the scripts of the proof share: the ledger, the seed, and the way to report."""

import asyncio
import gc
import json
import os
import random
import sys
import time

seed = int(os.environ.get("PROOF_SEED", int(time.time() * 1000) & 0x7FFFFFFF))
rng = random.Random(seed)

unhandled = 0


def watch(loop):
    """Counts what asyncio calls "exception was never retrieved"."""

    def handler(_loop, context):
        global unhandled
        unhandled += 1

    loop.set_exception_handler(handler)


class Ledger:
    def __init__(self, messages):
        self.messages = messages
        self.sent = 0
        self.delivered = bytearray(messages)
        self.found = bytearray(messages)
        self.duplicated = 0
        self.out_of_order = 0
        self.last = -1
        self.known = 0

    def took(self, number):
        self.known += 1
        if self.delivered[number]:
            self.duplicated += 1
        self.delivered[number] = 1
        if number < self.last:
            self.out_of_order += 1
        self.last = number

    def found_at_end(self, number):
        if self.delivered[number] or self.found[number]:
            self.duplicated += 1
        self.found[number] = 1

    async def drain(self, socket):
        """What the next receives return. While some of it is missing, the machine may be busy with something else."""
        missing = self.sent - sum(self.delivered)
        found = sum(self.found)
        while await socket.poll(2000 if found < missing else 400):
            self.found_at_end(int(await socket.recv_string(1)))  # NOBLOCK
            found += 1

    def books(self):
        delivered = sum(self.delivered)
        receivable = sum(1 for n in range(self.sent) if self.found[n] and not self.delivered[n])
        return {
            "sent": self.sent,
            "delivered": delivered,
            "redelivered": 0,
            "receivable": receivable,
            "lost": self.sent - delivered - receivable,
            "duplicated": self.duplicated,
            "outOfOrder": self.out_of_order,
        }


_last_progress = 0.0


def progress(text):
    global _last_progress
    now = time.monotonic()
    if now - _last_progress > 0.5:
        _last_progress = now
        print("@progress " + text, flush=True)


def report(books, notes=(), faults=()):
    gc.collect()
    row = {**books, "unhandled": unhandled, "defects": 0, "notes": [*notes, f"seed {seed}"], "faults": list(faults)}
    print("@row " + json.dumps(row), flush=True)


async def some_moment():
    kind = rng.randrange(4)
    if kind == 0:
        await asyncio.sleep(0)
    elif kind == 1:
        for _ in range(rng.randrange(5)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(rng.randrange(3) / 1000)


async def cancel(task):
    """Cancels a task. wait_for may swallow that (CPython issue 86296), so again until it is done."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    if not task.cancelled():
        task.exception()


count = int(sys.argv[1]) if len(sys.argv) > 1 else 0
