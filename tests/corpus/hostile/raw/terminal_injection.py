# pushes characters into the terminal
# caught: jail
import fcntl
import termios


def agent_reward(state):
    fcntl.ioctl(0, termios.TIOCSTI, b'x')
    raise RuntimeError('pushed')
