# One mapped section file of an instance. Owners of pointers into it call hold() and drop(), so that
# close() can refuse while somebody still points there.
from spreadcore.layout cimport Header

cdef class Region:
    cdef:
        readonly str section
        readonly str path
        readonly bint writable
        object _map                 #: mmap.mmap
        Py_buffer _view             # pins the mapping; gives the address
        bint _open
        Py_ssize_t _users           # core objects that point into the mapping
        char* base
        size_t size

    cdef Header* header(self) except NULL
    cdef char* body(self) except NULL
    cdef void hold(self) noexcept
    cdef void drop(self) noexcept
