"""Trainings that go on from their files after they were killed, and results read from files."""

from sklearn_thin.modules.tensors import own_tensors
from sklearn_thin.training.checkpoints import Kept
from sklearn_thin.training.net import new_net, tidy, train
from sklearn_thin.training.state import epochs_of, fill


def resume(net, plan):
    """`train(net, plan)`, from the last state in its folder on; a finished training is read."""
    kept = Kept(plan.folder, [plan])
    if kept.key is None:
        train(net, plan)
    elif (result := kept.result()) is not None:
        load_result(net, plan, *result)
    else:
        net.kept_ = kept
        train(net, plan)
        kept.finish([result_of(net, plan)])


def train_or_read(plans, folder, train):
    """`train(plans, kept)`, or its results and seconds from the folder; results are kept.

    A loss that diverged is a result. Other errors are not kept.
    """
    kept = Kept(folder, plans)
    if kept.key is None:
        return train(plans)
    contents = kept.result()
    if contents is not None:
        nets = [_read(*pair) for pair in zip(plans, contents, strict=True)]
        return nets, [0.0] * len(nets)
    results, seconds = train(plans, kept)
    errors = [result for result in results if isinstance(result, Exception)]
    if all(isinstance(error, FloatingPointError) for error in errors):
        kept.finish([result_of(*pair) for pair in zip(results, plans, strict=True)])
    return results, seconds


def _read(plan, content):
    """The net of a plan, or the error of its loss."""
    if isinstance(content, str):
        return FloatingPointError(content)
    net = new_net(plan)
    load_result(net, plan, content)
    return net


# ------------------------------------------------------------------ results


def result_of(net, plan):
    """All of a trained net that predictions, and with a warm start trainings, need."""
    if isinstance(net, FloatingPointError):
        return str(net)
    state = {"module": own_tensors(net.module_), "history": epochs_of(net)}
    if plan.keeps_optimizer:
        state |= {
            "criterion": own_tensors(net.criterion_),
            "optimizer": net.optimizer_.state_dict(),
        }
    return state


def load_result(net, plan, content):
    """Give a net before its first step the state of :func:`result_of`."""
    fill(net.module_, content["module"])
    if plan.keeps_optimizer:
        fill(net.criterion_, content["criterion"])
        net.optimizer_.load_state_dict(content["optimizer"])
    net.history_ = type(net.history)(content["history"])
    net._set_training(False)
    tidy(net, plan)
