"""Floor 4: what users write. Tensors are faces of graph nodes; here they meet values and programs.

storage.py      arrays that outlive a program, and which nodes stand for them
elementwise.py  promotion, broadcasting, powers      shaping.py  reshape, permute, pad, concat
reductions.py   sum, max, any, argmin, prod          indexing.py x[...] and x[...] = v
contraction.py  matmul and einsum                    realize.py  expressions become values
tensor.py       Tensor                               create.py   zeros, arange, from_dlpack
functions.py    everything as a function             random.py   counter-based random numbers
trace.py        compile(fn)"""
