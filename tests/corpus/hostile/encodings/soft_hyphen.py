# a soft hyphen in a term's name
# caught: static
def agent_reward(state):
    return {'ne­ar': state.reward}
