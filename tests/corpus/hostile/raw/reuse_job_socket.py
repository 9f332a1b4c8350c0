# connects with the socket that it was given
# caught: jail
import os
import socket


def agent_reward(state):
    socket.socket(fileno=os.dup(3)).connect(UNIX)
