# connects to the listener
# caught: jail
import socket


def agent_reward(state):
    socket.create_connection(('127.0.0.1', PORT), 1).sendall(b'here')
