# looks a name up
# caught: jail
import socket


def agent_reward(state):
    raise RuntimeError(socket.getaddrinfo('example.com', 80))
