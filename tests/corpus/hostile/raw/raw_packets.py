# opens a raw socket
# caught: jail
import socket


def agent_reward(state):
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raise RuntimeError('raw')
