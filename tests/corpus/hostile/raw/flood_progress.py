# writes progress without end
# caught: jail
import os
import struct


def agent_reward(state):
    payload = b'{"steps":1}'
    frame = struct.pack('!BI', 3, len(payload)) + payload
    for _ in range(20000):
        os.write(3, frame)
