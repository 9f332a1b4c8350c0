# text direction marks, so that what is read is not what runs
# caught: static
def agent_reward(state):
    kind = 'agent‮ ⁦# only for agents⁩ ⁦'
    return state.reward * len(kind)
