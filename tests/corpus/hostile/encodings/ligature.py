# a ligature that folds into fi
# caught: static
def agent_reward(state):
    ﬁx = state.reward
    return fix
