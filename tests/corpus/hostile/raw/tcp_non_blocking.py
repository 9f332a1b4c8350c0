# connects without waiting
# caught: jail
import socket


def agent_reward(state):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(('127.0.0.1', PORT))
    raise RuntimeError('began')
