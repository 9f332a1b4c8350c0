# full-width letters that fold into __class__
# caught: static
def agent_reward(state):
    return state.reward + len(str(state.__ｃlass__))
