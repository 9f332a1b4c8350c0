# sends a datagram
# caught: jail
import socket


def agent_reward(state):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'here', ('127.0.0.1', UDP_PORT))
