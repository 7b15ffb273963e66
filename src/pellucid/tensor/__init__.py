"""Floor 4: what users write. Tensors are faces of graph nodes; here they meet values and programs.

storage.py      arrays that outlive a program, and which nodes stand for them
elementwise.py  promotion, broadcasting, powers      shaping.py  reshape, permute, pad, concat
reductions.py   sum, max, any, argmin, prod          indexing.py x[...] and x[...] = v
contraction.py  matmul and einsum                    realize.py  expressions become values
tensor.py       Tensor                               gradient.py grad
create.py       zeros, arange, from_dlpack           functions.py everything as a function
random.py       counter-based random numbers         trace.py    compile(fn)
scan.py         a loop over time"""

from . import functions, random
from .create import tensor
from .gradient import grad
from .random import seed
from .scan import scan
from .tensor import Tensor, assign, realize
from .trace import compile

__all__ = [
    "Tensor",
    "assign",
    "compile",
    "functions",
    "grad",
    "random",
    "realize",
    "scan",
    "seed",
    "tensor",
]
