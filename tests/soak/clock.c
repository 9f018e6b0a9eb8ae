/* Moves the clock of a process of the soak: preloaded into it, this stands before the clock of the C library. No setting
   of the service moves a clock, since one that did could be set in production. Clocks that only measure are left alone,
   as they are when a machine's time is wrong. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *at)
{
    long failed = syscall(SYS_clock_gettime, id, at);
    const char *ahead = getenv("SOAK_CLOCK_AHEAD_MILLIS");
    if (failed || id != CLOCK_REALTIME || !ahead)
        return (int)failed;
    long nanos = at->tv_nsec + atol(ahead) % 1000 * 1000000L;
    at->tv_sec += atol(ahead) / 1000;
    if (nanos < 0) {
        nanos += 1000000000L;
        at->tv_sec--;
    } else if (nanos >= 1000000000L) {
        nanos -= 1000000000L;
        at->tv_sec++;
    }
    at->tv_nsec = nanos;
    return 0;
}
