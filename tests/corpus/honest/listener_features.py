# task: mpe/simple_speaker_listener  scope: own
import torch


def enhance_observation(obs):
    rel = obs[..., 2:8].unflatten(-1, (3, 2))
    word = obs[..., 8:11]
    aim = torch.einsum("bnk,bnkd->bnd", word, rel)
    is_listener = torch.tensor([0.0, 1.0], device=obs.device).view(1, 2, 1)
    return aim * is_listener