/* Loaded before libc: a disk that is slow, and a clock that is wrong by so much, as the file named by CLUSTER_SHIM says:
 * two 64-bit numbers, the microseconds that each fsync takes longer, and the microseconds that the clock is ahead.
 * The monotonic clock is left alone; so is Patroni's own: it sleeps until the next round by the wall clock, so a step back
 * by an hour now and then makes the primary's sleep for that hour, while the others wait for it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *settings;
static int keeps_time;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("CLUSTER_SHIM"), *program = program_invocation_short_name;
    keeps_time = !strncmp(program, "python", 6) || !strncmp(program, "patroni", 7);
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        settings = page;
}

static int64_t setting(int which) { return settings ? settings[which] : 0; }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void wait_for_disk(void) {
    int64_t micros = setting(0);
    struct timespec pause = {micros / 1000000, micros % 1000000 * 1000};
    if (micros > 0)
        nanosleep(&pause, NULL);
}

int fsync(int file) {
    wait_for_disk();
    return REAL(fsync)(file);
}

int fdatasync(int file) {
    wait_for_disk();
    return REAL(fdatasync)(file);
}

static void shift(int64_t *seconds, int64_t *parts, int64_t parts_per_micro) {
    int64_t all = *seconds * 1000000 * parts_per_micro + *parts + (keeps_time ? 0 : setting(1)) * parts_per_micro;
    *seconds = all / (1000000 * parts_per_micro);
    *parts = all % (1000000 * parts_per_micro);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static __typeof__(&clock_gettime) real;
    if (!real)
        real = REAL(clock_gettime);
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t seconds = now->tv_sec, nanos = now->tv_nsec;
        shift(&seconds, &nanos, 1000);
        now->tv_sec = seconds, now->tv_nsec = nanos;
    }
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec fine;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &fine))
        return -1;
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    if (out)
        *out = fine.tv_sec;
    return fine.tv_sec;
}
