"""Workload (g): sends numbers, in bursts. push.py COUNT ENDPOINT"""

import random
import sys
import time

import zmq

count, endpoint = int(sys.argv[1]), sys.argv[2]
context = zmq.Context()
socket = context.socket(zmq.PUSH)
socket.connect(endpoint)
number = 0
while number < count:
    for _ in range(random.randrange(200)):
        if number < count:
            socket.send_string(str(number))
            number += 1
    time.sleep(random.random() / 1000)
socket.close()
context.term()
