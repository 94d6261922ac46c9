"""Workload (g): writes down what it receives, until "end". pull.py COUNT ENDPOINT"""

import random
import sys
import time

import zmq

endpoint = sys.argv[2]
context = zmq.Context()
socket = context.socket(zmq.PULL)
socket.rcvhwm = 20
socket.connect(endpoint)
while True:
    text = socket.recv_string()
    if text == "end":
        break
    print(text)
    if random.randrange(200) == 0:
        time.sleep(random.random() / 200)
sys.stdout.flush()
socket.close(linger=0)
context.term()
