"""How far a precision's outputs may be from those of the back end cpu, or of the reference: what the tests of the back ends and of the machine
code ask of it."""
import numpy as np


def shares(kind, outputs, expected):
    """The worst difference of each output (policy, q, d, m), as a share of what is allowed; infinite for what is no number.
    fp32: logits to 2e-3, q and d to 1e-4, m to 1e-3 of it. fp16: logits to 3 % of their range in a position, q and d to 0.01, m to 1 %; int8: three
    times that; fp8: six times."""
    times = next((times for part, times in (('int8', 3), ('fp8', 6)) if part in kind), 1)
    half = 'fp16' in kind or times > 1
    outputs, (policy, q, d, m) = ([np.asarray(x, float) for x in arrays] for arrays in (outputs, expected))
    value = 0.01 * times if half else 1e-4
    allowed = {'policy': 0.03 * times * np.ptp(policy, axis=-1, keepdims=True) if half else 2e-3, 'q': value, 'd': value,
               'm': 1e-3 + (0.01 * times if half else 1e-3) * np.abs(m)}
    with np.errstate(invalid='ignore'):
        return {name: float(np.nan_to_num(np.abs(got - wanted) / most, nan=np.inf).max())
                for (name, most), got, wanted in zip(allowed.items(), outputs, (policy, q, d, m))}
