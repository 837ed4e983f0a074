/* Loaded before libc: while the file $HUNG_WHILE exists, what opens, lists, renames or syncs files does not return, as on a disk that hangs. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Files of the kernel never hang. */
static int is_the_kernels(const char *path)
{
    return !strncmp(path, "/proc", 5) || !strncmp(path, "/sys", 4) || !strncmp(path, "/dev", 4);
}

static void hang(void)
{
    const char *mark = getenv("HUNG_WHILE");
    while (mark && syscall(SYS_access, mark, F_OK) == 0)
        usleep(20000);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static mode_t mode_of(int flags, va_list rest)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    if (!is_the_kernels(path))
        hang();
    return NEXT(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    if (!is_the_kernels(path))
        hang();
    return NEXT(open)(path, flags, mode);
}

DIR *opendir(const char *path)
{
    if (!is_the_kernels(path))
        hang();
    return NEXT(opendir)(path);
}

int rename(const char *from, const char *to)
{
    hang();
    return NEXT(rename)(from, to);
}

int fsync(int file)
{
    hang();
    return NEXT(fsync)(file);
}

int fdatasync(int file)
{
    hang();
    return NEXT(fdatasync)(file);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset)
{
    hang();
    return NEXT(pwrite64)(file, bytes, length, offset);
}
