/* Signed links: what is accepted has exactly the spelling that we would give it. Input: path, '?',
 * query. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "media/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct signer *the_signer(void)
{
    static struct signer *s;
    char path[] = "/tmp/fovea-fuzz-sign-XXXXXX";
    struct fault f;
    int fd;

    if (s)
        return s;
    if ((fd = mkstemp(path)) < 0)
        abort();
    close(fd);
    unlink(path); /* signer_open makes it */
    if (signer_open(path, &s, &f) != ST_OK)
        abort();
    unlink(path);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *mark = size ? memchr(p, '?', size) : NULL;
    const size_t path_n = mark ? (size_t)(mark - p) : size;
    struct buffer again = { 0 };
    struct signed_request rq;
    struct fault f = FAULT_INIT;

    if (sign_parse(p, path_n, mark ? mark + 1 : "", mark ? size - path_n - 1 : 0, 1000, &rq, &f) !=
        ST_OK)
        return 0;
    if (rq.id < 1 || rq.expires_s <= 1000 || strchr(rq.name, '/') ||
        !text_is_utf8(rq.name, strlen(rq.name)))
        abort();
    if (sign_verify(the_signer(), &rq, SIGN_READ, 1, &f) == ST_OK) /* nobody guesses the secret */
        abort();
    sign_link(the_signer(),
              &(struct signed_link){ SIGN_READ, rq.purpose, rq.id, 1, rq.name, rq.expires_s }, &again);
    if (again.n <= path_n || memcmp(again.p, p, path_n) != 0 || again.p[path_n] != '?')
        abort();
    buffer_free(&again);
    return 0;
}
