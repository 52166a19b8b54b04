/* Makes one call fail, or ends the process at it, among those that change files below
   some folders.  Preloaded into the program under test; armed by fault_arm().

   Every call is counted: open that creates, write, pwrite, writev, pwritev, fsync,
   fdatasync, ftruncate, posix_fallocate, rename, link, unlink, mkdir, rmdir, each with
   its relatives.  Or, if armed so, every call that reads instead: open of what is there,
   read, pread, preadv. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NONE, KILL, TORN, EIO_, ENOSPC_, EROFS_, STOP };
enum { CHANGES, READS };

static atomic_int calls;
static int first, last, mode, counted, trace = -1;
static char roots[4][PATH_MAX];
static struct { dev_t dev; ino_t ino; int rewritten; } failed[64];
static atomic_int failures;

static int real_write(int fd, const char *text, size_t size)
{
    return (int)syscall(SYS_write, fd, text, size);
}

static void say(const char *what, int number, const char *call, const char *path)
{
    char line[PATH_MAX + 64];
    int size = snprintf(line, sizeof line, "%s %d %s %s\n", what, number, call, path);
    if (trace >= 0)
        real_write(trace, line, size);
}

/* Count from 1 anew; calls `at` to `until` fail.  The trace names every call. */
void fault_arm(int at, int until, int how, int which, const char *folders,
               const char *tracefile)
{
    char copy[4 * PATH_MAX], *rest = copy, *one;
    int index = 0;
    memset(roots, 0, sizeof roots);
    snprintf(copy, sizeof copy, "%s", folders);
    while ((one = strsep(&rest, "\n")) && index < 4)
        snprintf(roots[index++], PATH_MAX, "%s", one);
    trace = *tracefile
        ? (int)syscall(SYS_openat, AT_FDCWD, tracefile,
                       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
        : -1;
    calls = 0;
    failures = 0;
    first = at, last = until, mode = how, counted = which;
}

static int is_inside(const char *path)
{
    for (int index = 0; index < 4; index++) {
        size_t size = strlen(roots[index]);
        if (size && !strncmp(path, roots[index], size)
            && (path[size] == '/' || path[size] == '\0' || path[size] == ' '))
            return 1;
    }
    return 0;
}

static int path_of(int fd, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[size < 0 ? 0 : size] = '\0';
    return size > 0;
}

static void path_at(int folder, const char *name, char *path)
{
    if (*name == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    if (folder == AT_FDCWD) {
        if (!getcwd(path, PATH_MAX))
            *path = '\0';
    } else
        path_of(folder, path);
    size_t size = strlen(path);
    snprintf(path + size, PATH_MAX - size, "/%s", name);
}

/* Return the error to fail with, 0 to go on, -1 to end half way. */
static int turn_of(int which, const char *call, const char *path)
{
    if (which != counted || !is_inside(path))
        return 0;
    int number = ++calls;
    say("call", number, call, path);
    if (mode == NONE || number < first || number > last)
        return 0;
    if (mode == KILL)
        raise(SIGKILL);
    if (mode == STOP) { /* until somebody has done what harm he wants */
        raise(SIGSTOP);
        return 0;
    }
    if (mode == TORN)
        return -1;
    return mode == EIO_ ? EIO : mode == EROFS_ ? EROFS : ENOSPC;
}

static int turn(const char *call, const char *path)
{
    return turn_of(CHANGES, call, path);
}

/* A failed sync must not be tried again on a file that was not written anew. */
static void note_sync(int fd, int error, const char *call)
{
    struct stat now;
    char path[PATH_MAX];
    if (fstat(fd, &now) || !S_ISREG(now.st_mode))
        return;
    for (int index = 0; index < failures && index < 64; index++)
        if (failed[index].dev == now.st_dev && failed[index].ino == now.st_ino
            && !failed[index].rewritten && path_of(fd, path))
            say("retried", calls, call, path);
    if (error && failures < 64) {
        int index = failures++;
        failed[index].dev = now.st_dev;
        failed[index].ino = now.st_ino;
        failed[index].rewritten = 0;
    }
}

static void note_rewrite(int fd)
{
    struct stat now;
    if (!failures || fstat(fd, &now))
        return;
    for (int index = 0; index < failures && index < 64; index++)
        if (failed[index].dev == now.st_dev && failed[index].ino == now.st_ino)
            failed[index].rewritten = 1;
}

static int die(void)
{
    raise(SIGKILL);
    return -1;
}

static int fail(int error)
{
    errno = error;
    return -1;
}

#define REAL(name) static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define TURN_FD(name) char path[PATH_MAX]; \
    int error = mode | (trace >= 0) && path_of(fd, path) ? turn(#name, path) : 0

/* Of a file that is created; one that is only opened is no change, but may be read. */
static int turn_open(const char *call, int folder, const char *target, int flags)
{
    char path[PATH_MAX];
    struct stat now;
    if (!(mode | (trace >= 0)) || flags & O_DIRECTORY)
        return 0;
    path_at(folder, target, path);
    if (!lstat(path, &now))
        return S_ISREG(now.st_mode) ? turn_of(READS, call, path) : 0;
    return flags & O_CREAT ? turn(call, path) : 0;
}

#define OPEN(name, folder, parameters, ...) \
int name parameters \
{ \
    REAL(name); \
    va_list rest; \
    va_start(rest, flags); \
    mode_t rights = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    int error = turn_open(#name, folder, target, flags); \
    if (error < 0) { \
        real(__VA_ARGS__, flags, rights); \
        return die(); \
    } \
    return error ? fail(error) : real(__VA_ARGS__, flags, rights); \
}
OPEN(open, AT_FDCWD, (const char *target, int flags, ...), target)
OPEN(open64, AT_FDCWD, (const char *target, int flags, ...), target)
OPEN(openat, at, (int at, const char *target, int flags, ...), at, target)
OPEN(openat64, at, (int at, const char *target, int flags, ...), at, target)

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(write);
    TURN_FD(write);
    if (error < 0) {
        real(fd, data, size / 2);
        return die();
    }
    return error ? fail(error) : real(fd, data, size);
}

#define PWRITE(name, offset_t_) \
ssize_t name(int fd, const void *data, size_t size, offset_t_ offset) \
{ \
    REAL(name); \
    TURN_FD(name); \
    if (error < 0) { \
        real(fd, data, size / 2, offset); \
        return die(); \
    } \
    if (!error && !strstr(path, "-wal")) /* a log must begin anew, see note_sync */ \
        note_rewrite(fd); \
    return error ? fail(error) : real(fd, data, size, offset); \
}
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    TURN_FD(writev);
    if (error < 0)
        return die();
    return error ? fail(error) : real(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    REAL(pwritev);
    TURN_FD(pwritev);
    if (error < 0)
        return die();
    return error ? fail(error) : real(fd, parts, count, offset);
}

#define READ(name, parameters, ...) \
ssize_t name parameters \
{ \
    REAL(name); \
    char path[PATH_MAX]; \
    int error = counted == READS && path_of(fd, path) ? turn_of(READS, #name, path) : 0; \
    return error ? fail(error) : real(__VA_ARGS__); \
}
READ(read, (int fd, void *data, size_t size), fd, data, size)
READ(pread, (int fd, void *data, size_t size, off_t offset), fd, data, size, offset)
READ(pread64, (int fd, void *data, size_t size, off64_t offset), fd, data, size, offset)
READ(preadv, (int fd, const struct iovec *parts, int count, off_t offset),
     fd, parts, count, offset)
READ(preadv64, (int fd, const struct iovec *parts, int count, off64_t offset),
     fd, parts, count, offset)
READ(preadv2, (int fd, const struct iovec *parts, int count, off_t offset, int flags),
     fd, parts, count, offset, flags)
READ(preadv64v2, (int fd, const struct iovec *parts, int count, off64_t offset, int flags),
     fd, parts, count, offset, flags)

#define SYNC(name) \
int name(int fd) \
{ \
    REAL(name); \
    TURN_FD(name); \
    if (error < 0) { \
        real(fd); \
        return die(); \
    } \
    note_sync(fd, error, #name); \
    return error ? fail(error) : real(fd); \
}
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, offset_t_) \
int name(int fd, offset_t_ size) \
{ \
    REAL(name); \
    TURN_FD(name); \
    if (error < 0) { \
        real(fd, size); \
        return die(); \
    } \
    if (!error && !size) \
        note_rewrite(fd); \
    return error ? fail(error) : real(fd, size); \
}
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int posix_fallocate(int fd, off_t offset, off_t size)
{
    REAL(posix_fallocate);
    TURN_FD(posix_fallocate);
    if (error < 0)
        return die();
    return error ? error : real(fd, offset, size);
}

#define AT(name, folder, ...) \
    char path[PATH_MAX]; \
    path_at(folder, target, path); \
    int error = mode | (trace >= 0) ? turn(#name, path) : 0; \
    if (error < 0) { \
        real(__VA_ARGS__); \
        return die(); \
    } \
    return error ? fail(error) : real(__VA_ARGS__)

int rename(const char *source, const char *target)
{
    REAL(rename);
    AT(rename, AT_FDCWD, source, target);
}

int renameat(int from, const char *source, int to, const char *target)
{
    REAL(renameat);
    AT(renameat, to, from, source, to, target);
}

int link(const char *source, const char *target)
{
    REAL(link);
    AT(link, AT_FDCWD, source, target);
}

int linkat(int from, const char *source, int to, const char *target, int flags)
{
    REAL(linkat);
    AT(linkat, to, from, source, to, target, flags);
}

/* A file that is gone: its number may be another's soon. */
static void note_gone(int from, const char *target)
{
    struct stat now;
    if (!failures || fstatat(from, target, &now, AT_SYMLINK_NOFOLLOW))
        return;
    for (int index = 0; index < failures && index < 64; index++)
        if (failed[index].dev == now.st_dev && failed[index].ino == now.st_ino)
            failed[index].rewritten = 1;
}

int unlink(const char *target)
{
    REAL(unlink);
    note_gone(AT_FDCWD, target);
    AT(unlink, AT_FDCWD, target);
}

int unlinkat(int from, const char *target, int flags)
{
    REAL(unlinkat);
    note_gone(from, target);
    AT(unlinkat, from, from, target, flags);
}

int rmdir(const char *target)
{
    REAL(rmdir);
    AT(rmdir, AT_FDCWD, target);
}

int mkdir(const char *target, mode_t mode_)
{
    REAL(mkdir);
    AT(mkdir, AT_FDCWD, target, mode_);
}

int mkdirat(int from, const char *target, mode_t mode_)
{
    REAL(mkdirat);
    AT(mkdirat, from, from, target, mode_);
}
