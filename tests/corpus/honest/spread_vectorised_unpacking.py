# task: mpe/simple_spread  scope: own
import torch


def agent_reward(state):
    x, y = state.agent_pos.unbind(dim=-1)
    vx, vy = state.agent_vel[..., 0], state.agent_vel[..., 1]
    (lx, ly), *_ = [state.landmark_pos.unbind(-1)]
    dx, dy = lx[:, None, :] - x[..., None], ly[:, None, :] - y[..., None]
    d, i = torch.hypot(dx, dy).min(dim=-1)
    towards = (dx.gather(-1, i[..., None]).squeeze(-1) * vx + dy.gather(-1, i[..., None]).squeeze(-1) * vy)
    return 0.1 * towards - d