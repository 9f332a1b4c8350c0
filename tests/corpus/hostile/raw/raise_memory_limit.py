# raises its memory limit, and fills memory
# caught: jail
import resource


def agent_reward(state):
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    raise RuntimeError('raised')
