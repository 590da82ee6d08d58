"""Dense derivatives of a module's loss by its own parameters: the plain way, to compare with."""

import torch


def parameters_of(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def flat_gradient(output, parameters, **options):
    gradients = torch.autograd.grad(output, parameters, allow_unused=True, materialize_grads=True, **options)
    return torch.cat([gradient.reshape(-1) for gradient in gradients])


def gradient(model, loss_of_model):
    return flat_gradient(loss_of_model(model), parameters_of(model))


def hessian(model, loss_of_model):
    parameters = parameters_of(model)
    slope = flat_gradient(loss_of_model(model), parameters, create_graph=True)
    if not slope.requires_grad:
        return torch.zeros(len(slope), len(slope), dtype=slope.dtype)
    rows = [
        flat_gradient(entry, parameters, retain_graph=True) if entry.requires_grad else torch.zeros_like(slope)
        for entry in slope
    ]
    return torch.stack(rows).detach()


def jacobian(model, output_of_model):
    """(outputs, P)."""
    parameters = parameters_of(model)
    output = output_of_model(model).reshape(-1)
    return torch.stack([flat_gradient(entry, parameters, retain_graph=True) for entry in output]).detach()


def gauss_newton(model, output_of_model, loss_of_output):
    J = jacobian(model, output_of_model)
    output = output_of_model(model).detach()
    curvature = torch.autograd.functional.hessian(loss_of_output, output).reshape(output.numel(), output.numel())
    return J.T @ curvature @ J
