# writes a result with a key twice
# caught: jail
import os
import struct


def agent_reward(state):
    payload = b'{"a":1,"a":2}'
    os.write(3, struct.pack('!BI', 5, len(payload)) + payload)
    os._exit(0)
