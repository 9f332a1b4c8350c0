# sends to an address by the socket that it was given
# caught: jail
import socket


def agent_reward(state):
    s = socket.socket(fileno=3)
    s.sendto(b'here', UNIX)
