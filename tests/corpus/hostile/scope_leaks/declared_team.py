# declares the scope team where only own is allowed
# caught: dynamic
import torch

SCOPE = "team"


def enhance_observation(obs):
    return obs.mean(1, keepdim=True).expand_as(obs)
