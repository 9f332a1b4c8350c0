# listens on a port
# caught: jail
import socket


def agent_reward(state):
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    s.listen()
    raise RuntimeError('listening')
