"""The same steps in NumPy, PyTorch and JAX, served to benches/net/main.rs.

    peers.py TOOL FILE N WIDTHS RATE DTYPE THREADS

FILE holds the numbers of the case (case.rs writes it). On each line of standard input, a number of steps, it runs them and answers
with the seconds that they took and the last loss; on end of input, with the peak of its resident memory in bytes.
"""

import os
import resource
import sys
import time

tool, path, n, widths, rate, dtype, threads = sys.argv[1:]
n, widths, rate, threads = int(n), [int(w) for w in widths.split(",")], float(rate), int(threads)
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"):
    os.environ[variable] = str(threads)
if threads == 1:
    # XLA has no other reliable way to stay on one core.
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if tool.startswith("jax"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np

numbers = np.fromfile(path, dtype="<f8").astype(dtype)


def take(*shape):
    global numbers
    size = int(np.prod(shape))
    array, numbers = numbers[:size].reshape(shape).copy(), numbers[size:]
    return array


x, y = take(n, widths[0]), take(n, widths[-1])
pairs = list(zip(widths, widths[1:]))
weights = [take(*pair) for pair in pairs]
biases = [take(1, outputs) for _, outputs in pairs]
tiny = len(widths) > 3


def numpy_step():
    """The lecture's lines."""
    w1, w2 = weights

    def step():
        h = 1 / (1 + np.exp(-x.dot(w1)))
        y_pred = h.dot(w2)
        loss = np.square(y_pred - y).sum()
        grad_y = 2.0 * (y_pred - y)
        grad_w2 = h.T.dot(grad_y)
        grad_h = grad_y.dot(w2.T)
        grad_w1 = x.T.dot(grad_h * h * (1 - h))
        w1[...] -= rate * grad_w1
        w2[...] -= rate * grad_w2
        return loss

    return step


def numpy_tiny():
    (w1, w2, w3), (b1, b2, b3) = weights, biases

    def step():
        h1 = np.tanh(x.dot(w1) + b1)
        h2 = np.tanh(h1.dot(w2) + b2)
        e = h2.dot(w3) + b3 - y
        loss = np.square(e).sum()
        g3 = 2.0 * e
        g2 = g3.dot(w3.T) * (1 - h2 * h2)
        g1 = g2.dot(w2.T) * (1 - h1 * h1)
        return loss, (h2.T.dot(g3), g3.sum(0), h1.T.dot(g2), g2.sum(0), x.T.dot(g1), g1.sum(0))

    return lambda: step()[0]


def torch_setup():
    import torch

    torch.set_num_threads(threads)
    torch.set_flush_denormal(dtype == "float32")
    return torch


def torch_step():
    """Autograd."""
    torch = torch_setup()
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    w1, w2 = (torch.from_numpy(w).requires_grad_() for w in weights)

    def step():
        h = torch.sigmoid(tx.mm(w1))
        loss = (h.mm(w2) - ty).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            w1.sub_(w1.grad, alpha=rate)
            w2.sub_(w2.grad, alpha=rate)
            w1.grad = None
            w2.grad = None
        return loss

    return lambda: step().item()


def torch_by_hand():
    """The gradient derived by hand, in PyTorch's fused operations, into buffers."""
    torch = torch_setup()
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    w1, w2 = (torch.from_numpy(w) for w in weights)
    h, dh = torch.empty(n, widths[1], dtype=w1.dtype), torch.empty(n, widths[1], dtype=w1.dtype)
    e = torch.empty_like(ty)

    def step():
        torch.mm(tx, w1, out=h)
        h.sigmoid_()
        torch.mm(h, w2, out=e)
        e.sub_(ty)
        loss = torch.dot(e.view(-1), e.view(-1))
        torch.mm(e, w2.T, out=dh)
        torch.ops.aten.sigmoid_backward(dh, h, grad_input=dh)
        w2.addmm_(h.T, e, alpha=-2 * rate)
        w1.addmm_(tx.T, dh, alpha=-2 * rate)
        return loss

    def run():
        with torch.no_grad():
            return step().item()

    return run


def torch_tiny():
    torch = torch_setup()
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    parameters = [torch.from_numpy(p).requires_grad_() for pair in zip(weights, biases) for p in pair]
    w1, b1, w2, b2, w3, b3 = parameters

    def step():
        h1 = torch.tanh(torch.addmm(b1, tx, w1))
        h2 = torch.tanh(torch.addmm(b2, h1, w2))
        loss = (torch.addmm(b3, h2, w3) - ty).pow(2).sum()
        torch.autograd.grad(loss, parameters)
        return loss

    return lambda: step().item()


def jax_setup():
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", dtype == "float64")
    return jax


def jax_step():
    jax = jax_setup()
    jnp = jax.numpy
    jx, jy = jnp.asarray(x), jnp.asarray(y)

    def loss(parameters, x, y):
        w1, w2 = parameters
        return jnp.square(jax.nn.sigmoid(x @ w1) @ w2 - y).sum()

    @jax.jit
    def step(parameters, x, y):
        value, gradient = jax.value_and_grad(loss)(parameters, x, y)
        return value, [p - rate * g for p, g in zip(parameters, gradient)]

    state = [jnp.asarray(w) for w in weights]

    def run():
        value, state[:] = step(state, jx, jy)
        return float(value)

    return run


def jax_tiny_functions(jax):
    jnp = jax.numpy

    def loss(parameters, x, y):
        (w1, b1), (w2, b2), (w3, b3) = parameters
        return jnp.square(jnp.tanh(jnp.tanh(x @ w1 + b1) @ w2 + b2) @ w3 + b3 - y).sum()

    parameters = [(jnp.asarray(w), jnp.asarray(b)) for w, b in zip(weights, biases)]
    return jax.value_and_grad(loss), parameters


def jax_tiny():
    jax = jax_setup()
    function, parameters = jax_tiny_functions(jax)
    jx, jy = jax.numpy.asarray(x), jax.numpy.asarray(y)
    step = jax.jit(function)

    def run():
        value, gradient = step(parameters, jx, jy)
        jax.block_until_ready(gradient)
        return float(value)

    return run


def jax_tiny_loop():
    """Many calls inside of one compiled function, without the cost of a call from Python: `run(count)`."""
    jax = jax_setup()
    function, parameters = jax_tiny_functions(jax)
    jx, jy = jax.numpy.asarray(x), jax.numpy.asarray(y)

    def body(_, carried):
        value, parameters = carried
        value, gradient = function(parameters, jx, jy)
        # Nothing changes, but the compiler cannot know.
        return value, jax.tree.map(lambda p, g: p + 0 * g, parameters, gradient)

    many = jax.jit(lambda count: jax.lax.fori_loop(0, count, body, (jx.dtype.type(0), parameters))[0])
    return lambda count: float(many(count))


tools = {
    "numpy": numpy_tiny if tiny else numpy_step,
    "torch": torch_tiny if tiny else torch_step,
    "torch_by_hand": torch_by_hand,
    "jax": jax_tiny if tiny else jax_step,
    "jax_loop": jax_tiny_loop,
}
run = tools[tool]()
print("ready", flush=True)
for line in sys.stdin:
    count = int(line)
    start = time.perf_counter()
    if tool == "jax_loop":
        value = run(count)
    else:
        for _ in range(count):
            value = run()
    print(time.perf_counter() - start, repr(float(value)), flush=True)
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
