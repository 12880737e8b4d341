#!/usr/bin/env python3
"""Pictures of a 3x4 map on a 6x5 photo as each library draws them, for tests/view/test_compat.cpp: prints its table.

usage: small_pictures.py     (with the environment of torch, see tests/peers/run; the formulas are those that compat.py holds against the libraries)
"""
import numpy as np
import compat

raw = np.array([[-1, 0.5, 2, 0.1], [3, 4, -0.25, 1], [0, 0.7, 1.5, 2.5]], np.float32)
photo = (np.arange(6 * 5 * 3) * 37 % 256).astype(np.uint8).reshape(6, 5, 3)
for name, (formula, *_) in compat.COMPAT.items():
    print(f'    {{"{name}",\n     "{formula(raw, photo).tobytes().hex()}"}},')
