# connects to a unix socket by its path
# caught: jail
import socket


def agent_reward(state):
    s = socket.socket(socket.AF_UNIX)
    s.connect(UNIX)
    s.sendall(b'here')
