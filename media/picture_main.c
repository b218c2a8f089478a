/*
 * fovea-picture WIDTH HEIGHT: the primary picture of the HEIC or AVIF file on descriptor 0, as RGB rows
 * to descriptor 1. Started by apart.c; how it ends: apart.h. Nothing it does needs a file, a socket or
 * another program, so before it looks at a byte of the file it gives all of that up.
 */
#include <errno.h>
#include <libheif/heif.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/limits.h"
#include "media/apart.h"

#if defined __x86_64__
enum { MACHINE = (int)AUDIT_ARCH_X86_64 };
#elif defined __aarch64__
enum { MACHINE = (int)AUDIT_ARCH_AARCH64 };
#else
#error "which machine is this? linux/audit.h knows its name"
#endif

/*
 * What a decoder needs once it is loaded: memory, threads, the clock, and to write its pixels. Not to
 * count the processors: where it cannot, it makes do with one or two threads, and what it takes does not
 * depend on the machine.
 */
static const int calls[] = {
    SYS_pwrite64,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_futex,
    SYS_clone,
    SYS_clone3,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_exit,
    SYS_exit_group,
    SYS_gettid,
    SYS_getpid,
    SYS_tgkill,
    SYS_rt_sigprocmask,
    SYS_rt_sigaction,
    SYS_rt_sigreturn,
    SYS_sched_yield,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_getrandom,
};

enum { NCALLS = sizeof calls / sizeof calls[0] };

/* All other calls fail as if it had no right to them; those of another machine's numbering end it. */
static bool forbid_calls(void)
{
    struct sock_filter program[4 + 2 * NCALLS + 1];
    struct sock_fprog filter = { .filter = program };
    unsigned short n = 0;

    program[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)MACHINE, 1, 0);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    program[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < NCALLS; i++) {
        program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)calls[i], 0, 1);
        program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    filter.len = n;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

static bool limit(int what, int64_t most)
{
    const struct rlimit both = { (rlim_t)most, (rlim_t)most };

    return setrlimit((__rlimit_resource_t)what, &both) == 0;
}

static bool cage(int64_t width, int64_t height)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && limit(RLIMIT_CORE, 0) &&
           limit(RLIMIT_CPU, LIMIT_APART_CPU_S) && limit(RLIMIT_FSIZE, width * height * 3) &&
           limit(RLIMIT_STACK, 8 << 20) && limit(RLIMIT_AS, apart_bytes(width, height)) &&
           forbid_calls();
}

/* How libheif's error is told. */
static int end_of(struct heif_error e)
{
    switch (e.code) {
    case heif_error_Ok:
        return APART_DONE;
    case heif_error_Unsupported_filetype:
    case heif_error_Unsupported_feature:
    case heif_error_Plugin_loading_error:
        return APART_UNKNOWN;
    default:
        return APART_DAMAGED;
    }
}

static bool write_rows(const struct heif_image *im, int width, int height)
{
    const size_t row = (size_t)width * 3;
    int stride = 0;
    const uint8_t *rows = heif_image_get_plane_readonly(im, heif_channel_interleaved, &stride);

    for (int y = 0; rows && y < height; y++)
        if (pwrite(1, rows + (ptrdiff_t)y * stride, row, (off_t)row * y) != (ssize_t)row)
            return false;
    return rows != NULL;
}

static int decode(const void *bytes, size_t n, int width, int height)
{
    struct heif_context *context = heif_context_alloc();
    struct heif_decoding_options *options = heif_decoding_options_alloc();
    struct heif_image_handle *handle = NULL;
    struct heif_image *im = NULL;
    struct heif_error e;

    heif_context_set_maximum_image_size_limit(context, LIMIT_IMAGE_SIDE_PX);
    heif_context_set_max_decoding_threads(context, 0);
    options->convert_hdr_to_8bit = 1;
    options->strict_decoding = 1;
    e = heif_context_read_from_memory_without_copy(context, bytes, n, NULL);
    if (e.code == heif_error_Ok)
        e = heif_context_get_primary_image_handle(context, &handle);
    if (e.code != heif_error_Ok)
        return end_of(e);
    if (heif_image_handle_get_width(handle) != width || heif_image_handle_get_height(handle) != height)
        return APART_DAMAGED;
    e = heif_decode_image(handle, &im, heif_colorspace_RGB, heif_chroma_interleaved_RGB, options);
    if (e.code != heif_error_Ok)
        return end_of(e);
    if (heif_image_get_primary_width(im) != width || heif_image_get_primary_height(im) != height ||
        !write_rows(im, width, height))
        return APART_DAMAGED;
    return APART_DONE;
}

static bool read_side(const char *text, int *ret)
{
    char *end;
    const long side = strtol(text, &end, 10);

    *ret = (int)side;
    return !*end && side >= 1 && side <= LIMIT_IMAGE_SIDE_PX;
}

int main(int argc, char *argv[])
{
    int width, height;
    struct stat file;
    void *bytes;

    if (argc != 3 || !read_side(argv[1], &width) || !read_side(argv[2], &height) ||
        fstat(0, &file) != 0 || file.st_size <= 0 || file.st_size > LIMIT_IMAGE_BYTES)
        return APART_UNCAGED;
    bytes = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, 0, 0);
    if (bytes == MAP_FAILED || !mallopt(M_ARENA_MAX, 1) || !cage(width, height))
        return APART_UNCAGED;
    _exit(decode(bytes, (size_t)file.st_size, width, height)); /* the kernel tidies up faster */
}
