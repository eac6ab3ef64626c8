/* Preloaded: fsync takes SLOW_FSYNC_MS, and the first SLOW_FSYNC_EIO of files that are written fail
   with EIO. Leaves a line in SLOW_FSYNC_LOG at the begin (+) and the end (-) of each. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int failed;

static void tell(const char *line) {
    int fd = open(getenv("SLOW_FSYNC_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, strlen(line)) < 0)
        abort();
    close(fd);
}

int fsync(int fd) {
    struct stat found;
    tell("+\n");
    usleep(1000 * atoi(getenv("SLOW_FSYNC_MS")));
    int rc = (int)syscall(SYS_fsync, fd);
    if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode) &&
        atomic_fetch_add(&failed, 1) < atoi(getenv("SLOW_FSYNC_EIO"))) {
        errno = EIO;
        rc = -1;
    }
    tell("-\n");
    return rc;
}
