"""HDF5 files for tests: h5py's own calls would write times into them, and make them half as large again."""
import ctypes
import h5py, numpy as np

no_attributes = ctypes.CDLL(h5py.h5p.__file__).H5Pset_dset_no_attrs_hint     # 150 bytes a dataset; h5py has no name for it
no_attributes.argtypes = [ctypes.c_int64, ctypes.c_bool]

def without_times(kind):
    plist = h5py.h5p.create(kind)
    plist.set_obj_track_times(False)
    return plist

def create_file(path):
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V18)       # small groups
    return h5py.File(h5py.h5f.create(path.encode(), h5py.h5f.ACC_TRUNC, without_times(h5py.h5p.FILE_CREATE), access))

def write(group, path, array):
    *parents, name = path.split("/")
    for parent in parents:
        if parent not in group:
            h5py.h5g.create(group.id, parent.encode(), gcpl=without_times(h5py.h5p.GROUP_CREATE))
        group = group[parent]
    plist = without_times(h5py.h5p.DATASET_CREATE)
    no_attributes(plist.id, True)
    kind, space = h5py.h5t.py_create(array.dtype), h5py.h5s.create_simple(array.shape)
    h5py.h5d.create(group.id, name.encode(), kind, space, plist).write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(array))
