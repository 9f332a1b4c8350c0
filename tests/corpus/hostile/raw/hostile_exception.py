# raises an error whose text raises
# caught: jail
class Rude(BaseException):
    def __str__(self):
        raise SystemExit(0)


def agent_reward(state):
    raise Rude('x')
