# gives the entry by a lambda
# caught: static
import torch

agent_reward = lambda state: state.reward
