/*
 * Runs one fuzz target over files: every argument is a file or a folder of files (read recursively
 * once). This is how `make test` replays the corpora without clang's fuzzer. Prints TAP: one line for
 * each argument.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long inputs;

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size;

    if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    rewind(f);
    data = malloc(size ? (size_t)size : 1); /* exact size: the sanitizer sees one byte too far */
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
        exit(2);
    fclose(f);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    inputs++;
}

static void replay(const char *path)
{
    struct stat st;
    struct dirent *e;
    char name[4096];
    DIR *d;

    if (stat(path, &st) != 0) {
        fprintf(stderr, "cannot stat %s\n", path);
        exit(2);
    }
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path);
        return;
    }
    d = opendir(path);
    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        replay(name);
    }
    if (d)
        closedir(d);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        inputs = 0;
        replay(argv[i]);
        printf("ok %d - %s: %lu inputs\n", i, argv[i], inputs);
    }
    printf("1..%d\n", argc - 1);
    return 0;
}
