/* Verbs for words that two processes touch at once; the only place that names a memory order.
 *
 * Words live in mmapped files, so they are plain integers in the layout and become _Atomic here.
 * That cast is sound where an atomic word has the size and representation of the plain one and
 * never takes a lock, which the assertions below hold at compile time.
 */
#ifndef SPREADCORE_ATOMICS_H
#define SPREADCORE_ATOMICS_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(_Atomic(uint64_t)) == sizeof(uint64_t), "atomic u64 must be a plain u64");
_Static_assert(sizeof(_Atomic(uint32_t)) == sizeof(uint32_t), "atomic u32 must be a plain u32");
_Static_assert(sizeof(_Atomic(uint8_t)) == sizeof(uint8_t), "atomic u8 must be a plain u8");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2 &&
               ATOMIC_CHAR_LOCK_FREE == 2, "atomics in shared memory must be lock-free");

#define SC_ATOMIC(type, p) ((_Atomic(type) *)(p))

static inline uint64_t sc_load_relaxed(const uint64_t *p) {
    return atomic_load_explicit(SC_ATOMIC(uint64_t, p), memory_order_relaxed);
}
static inline uint64_t sc_load_acquire(const uint64_t *p) {
    return atomic_load_explicit(SC_ATOMIC(uint64_t, p), memory_order_acquire);
}
static inline void sc_store_relaxed(uint64_t *p, uint64_t v) {
    atomic_store_explicit(SC_ATOMIC(uint64_t, p), v, memory_order_relaxed);
}
static inline void sc_store_release(uint64_t *p, uint64_t v) {
    atomic_store_explicit(SC_ATOMIC(uint64_t, p), v, memory_order_release);
}
static inline uint64_t sc_fetch_or(uint64_t *p, uint64_t bits) {
    return atomic_fetch_or_explicit(SC_ATOMIC(uint64_t, p), bits, memory_order_seq_cst);
}
static inline uint64_t sc_swap(uint64_t *p, uint64_t v) {
    return atomic_exchange_explicit(SC_ATOMIC(uint64_t, p), v, memory_order_seq_cst);
}
static inline uint64_t sc_load_seq_cst(const uint64_t *p) {
    return atomic_load_explicit(SC_ATOMIC(uint64_t, p), memory_order_seq_cst);
}

static inline uint32_t sc_load32_seq_cst(const uint32_t *p) {
    return atomic_load_explicit(SC_ATOMIC(uint32_t, p), memory_order_seq_cst);
}
static inline uint32_t sc_load32_acquire(const uint32_t *p) {
    return atomic_load_explicit(SC_ATOMIC(uint32_t, p), memory_order_acquire);
}
static inline void sc_store32_seq_cst(uint32_t *p, uint32_t v) {
    atomic_store_explicit(SC_ATOMIC(uint32_t, p), v, memory_order_seq_cst);
}
static inline void sc_store32_release(uint32_t *p, uint32_t v) {
    atomic_store_explicit(SC_ATOMIC(uint32_t, p), v, memory_order_release);
}
static inline uint32_t sc_fetch_add32(uint32_t *p, uint32_t v) {
    return atomic_fetch_add_explicit(SC_ATOMIC(uint32_t, p), v, memory_order_seq_cst);
}

static inline uint32_t sc_swap32(uint32_t *p, uint32_t v) {
    return atomic_exchange_explicit(SC_ATOMIC(uint32_t, p), v, memory_order_seq_cst);
}

static inline uint8_t sc_load8_acquire(const uint8_t *p) {
    return atomic_load_explicit(SC_ATOMIC(uint8_t, p), memory_order_acquire);
}
/* 1 when *p was `from` and is now `to`; release on success pairs with sc_load8_acquire */
static inline int sc_cas8(uint8_t *p, uint8_t from, uint8_t to) {
    return atomic_compare_exchange_strong_explicit(SC_ATOMIC(uint8_t, p), &from, to,
                                                   memory_order_acq_rel, memory_order_acquire);
}

static inline void sc_fence_acquire(void) { atomic_thread_fence(memory_order_acquire); }
static inline void sc_fence_release(void) { atomic_thread_fence(memory_order_release); }
static inline void sc_fence_seq_cst(void) { atomic_thread_fence(memory_order_seq_cst); }

/* A wait hint inside a spin: lets the sibling hyper-thread run and saves power */
static inline void sc_spin_hint(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Sleep while *word == seen; 0 woken or changed, else errno (ETIMEDOUT, EINTR). Not PRIVATE:
 * the word is shared between processes. timeout_ns < 0 waits for ever. */
static inline int sc_futex_wait(uint32_t *word, uint32_t seen, int64_t timeout_ns) {
    struct timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    long rc = syscall(SYS_futex, word, FUTEX_WAIT, seen, timeout_ns < 0 ? NULL : &ts, NULL, 0);
    if (rc == 0 || errno == EAGAIN) return 0;
    return errno;
}
static inline void sc_futex_wake(uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Sleep; a signal ends it early. */
static inline void sc_nap(int64_t ns) {
    struct timespec ts = {ns / 1000000000, ns % 1000000000};
    nanosleep(&ts, NULL);
}

static inline int64_t sc_now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

#endif
