/* The end of a process that touched a mapped file which somebody cut short: one line, one code.
 * All that the handler needs is made ready before, for it may do nothing but system calls. */
#ifndef SPREADCORE_SIGBUS_H
#define SPREADCORE_SIGBUS_H

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static char sc_sigbus_line[1024];
static size_t sc_sigbus_bytes;
static int sc_sigbus_fd = STDERR_FILENO;
static int sc_sigbus_code = 1;

static void sc_sigbus_end(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code != BUS_ADRERR) { /* sent by somebody, or bad memory: what it always does */
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    ssize_t written = write(sc_sigbus_fd, sc_sigbus_line, sc_sigbus_bytes);
    (void)written;
    _exit(sc_sigbus_code);
}

/* 0, or -1 with errno. Not for two threads at a time. */
static int sc_sigbus_guard(const char *line, size_t bytes, int fd, int code)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    action.sa_sigaction = sc_sigbus_end;
    action.sa_flags = SA_SIGINFO;
    signal(SIGBUS, SIG_DFL); /* while line and code change */
    sc_sigbus_bytes = bytes < sizeof(sc_sigbus_line) ? bytes : sizeof(sc_sigbus_line);
    memcpy(sc_sigbus_line, line, sc_sigbus_bytes);
    sc_sigbus_fd = fd;
    sc_sigbus_code = code;
    return sigaction(SIGBUS, &action, NULL);
}

#endif
