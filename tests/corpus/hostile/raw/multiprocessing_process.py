# starts a process by multiprocessing
# caught: jail
import multiprocessing


def agent_reward(state):
    multiprocessing.get_context('fork').Process(target=print).start()
