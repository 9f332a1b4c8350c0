# task: mpe/simple_reference  scope: own
import torch


def enhance_observation(obs):
    """The offset of the landmark whose number was heard; zero before a word was heard."""
    heard = obs[..., 11:14]
    rel = obs[..., 2:8].unflatten(-1, (3, 2))
    aim = (heard.unsqueeze(-1) * rel).sum(-2)
    told = obs[..., 8:11].argmax(-1)
    return torch.cat([aim, aim.norm(dim=-1, keepdim=True), torch.eye(3)[told]], dim=-1)