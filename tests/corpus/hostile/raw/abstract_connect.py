# connects to a unix socket by its abstract name
# caught: jail
import socket


def agent_reward(state):
    s = socket.socket(socket.AF_UNIX)
    s.connect('\0' + ABSTRACT)
    s.sendall(b'here')
