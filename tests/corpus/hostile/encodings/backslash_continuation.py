# a dunder split over lines
# caught: static
def agent_reward(state):
    return state.__cl\
ass__
