# writes tensors that contradict themselves
# caught: jail
import os
import struct


def agent_reward(state):
    payload = struct.pack('<Q', 1 << 60) + b'{}'
    os.write(3, struct.pack('!BI', 4, len(payload)) + payload)
