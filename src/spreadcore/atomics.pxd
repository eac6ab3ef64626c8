# C11 atomic verbs, futex and clock (atomics.h). Everyone else speaks these names only.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "atomics.h" nogil:
    uint64_t load_relaxed "sc_load_relaxed" (const uint64_t* p) noexcept
    uint64_t load_acquire "sc_load_acquire" (const uint64_t* p) noexcept
    uint64_t load_seq_cst "sc_load_seq_cst" (const uint64_t* p) noexcept
    void store_relaxed "sc_store_relaxed" (uint64_t* p, uint64_t v) noexcept
    void store_release "sc_store_release" (uint64_t* p, uint64_t v) noexcept
    uint64_t fetch_or "sc_fetch_or" (uint64_t* p, uint64_t bits) noexcept  # seq_cst
    uint64_t swap "sc_swap" (uint64_t* p, uint64_t v) noexcept             # seq_cst

    uint32_t load32_seq_cst "sc_load32_seq_cst" (const uint32_t* p) noexcept
    uint32_t load32_acquire "sc_load32_acquire" (const uint32_t* p) noexcept
    void store32_seq_cst "sc_store32_seq_cst" (uint32_t* p, uint32_t v) noexcept
    void store32_release "sc_store32_release" (uint32_t* p, uint32_t v) noexcept
    uint32_t fetch_add32 "sc_fetch_add32" (uint32_t* p, uint32_t v) noexcept  # seq_cst
    uint32_t swap32 "sc_swap32" (uint32_t* p, uint32_t v) noexcept         # seq_cst

    uint8_t load8_acquire "sc_load8_acquire" (const uint8_t* p) noexcept
    bint cas8 "sc_cas8" (uint8_t* p, uint8_t old, uint8_t new) noexcept

    void fence_acquire "sc_fence_acquire" () noexcept
    void fence_release "sc_fence_release" () noexcept
    void fence_seq_cst "sc_fence_seq_cst" () noexcept
    void spin_hint "sc_spin_hint" () noexcept

    int futex_wait "sc_futex_wait" (uint32_t* word, uint32_t seen, int64_t timeout_ns) noexcept
    void futex_wake "sc_futex_wake" (uint32_t* word) noexcept
    void nap "sc_nap" (int64_t ns) noexcept
    int64_t now_ns "sc_now_ns" () noexcept                                 # CLOCK_BOOTTIME
