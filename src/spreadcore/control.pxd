# Words that one operator writes and every process looks at: pause, kill, reload generation, stop.
from spreadcore.layout cimport ControlWords
from spreadcore.region cimport Region

cdef class Control:
    cdef:
        readonly Region region
        ControlWords* words
