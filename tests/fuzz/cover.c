/* Which edges a run takes, for code compiled with gcc's -fsanitize-coverage=trace-pc.
 *
 * Preloaded, so that the extensions find the function that they call at every edge. One thread.
 * An edge counts as new when it is taken for the first time, or for another power of two times.
 */
#include <stdint.h>
#include <string.h>

enum { EDGES = 1 << 15, CORPORA = 64 };

static uint8_t taken[EDGES];
static uint8_t known[CORPORA][EDGES]; /* a bit per power of two */
static uint32_t before;

void __sanitizer_cov_trace_pc(void) {
    uint64_t pc = (uint64_t)__builtin_return_address(0);
    uint32_t at = (uint32_t)(pc * 0x9E3779B97F4A7C15u >> 49);
    uint8_t *n = taken + (at ^ before);
    *n += *n < 255;
    before = at >> 1;
}

void cover_begin(void) {
    memset(taken, 0, sizeof taken);
    before = 0;
}

/* How many edges since cover_begin are new to a corpus (0 to 63); from now on they are known. */
int cover_new(int corpus) {
    int new_ones = 0;
    for (int i = 0; i < EDGES; i += 8) {
        uint64_t word;
        memcpy(&word, taken + i, 8);
        if (!word) continue;
        for (int j = i; j < i + 8; j++) {
            uint8_t bit = taken[j] ? (uint8_t)(1 << (31 - __builtin_clz(taken[j]))) : 0;
            new_ones += (bit & ~known[corpus][j]) != 0;
            known[corpus][j] |= bit;
        }
    }
    return new_ones;
}

/* How many edges any corpus has taken. */
int cover_edges(void) {
    int edges = 0;
    for (int j = 0; j < EDGES; j++) {
        uint8_t any = 0;
        for (int i = 0; i < CORPORA; i++) any |= known[i][j];
        edges += any != 0;
    }
    return edges;
}
