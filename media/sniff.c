/* What some bytes are, by libmagic: see sniff.h. */
#include "media/sniff.h"

#include <magic.h>
#include <pthread.h>
#include <string.h>
#include "base/limits.h"

/* Only the tests that tell types apart: those that unpack, walk ELF sections or OLE folders, or guess at
 * the language of a text are long code for hostile bytes and no use here. */
enum {
    SNIFF_FLAGS = MAGIC_MIME_TYPE | MAGIC_ERROR | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_ELF |
                  MAGIC_NO_CHECK_CDF | MAGIC_NO_CHECK_APPTYPE | MAGIC_NO_CHECK_TOKENS,
};

static pthread_key_t handle_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int key_failed;

static void close_handle(void *handle)
{
    magic_close(handle);
}

static void make_key(void)
{
    key_failed = pthread_key_create(&handle_key, close_handle);
}

static magic_t thread_handle(void)
{
    magic_t handle;

    pthread_once(&once, make_key);
    if (key_failed)
        return NULL;
    if ((handle = pthread_getspecific(handle_key)))
        return handle;
    if (!(handle = magic_open(SNIFF_FLAGS)))
        return NULL;
    if (magic_load(handle, NULL) != 0 || pthread_setspecific(handle_key, handle) != 0) {
        magic_close(handle);
        return NULL;
    }
    return handle;
}

enum status sniff_type(const void *bytes, size_t n, char ret[SNIFF_TYPE_BYTES], struct fault *f)
{
    const magic_t handle = thread_handle();
    const char *type;

    if (!handle)
        return fault_set(f, ST_UNAVAILABLE, NULL, "the database of file types cannot be loaded");
    type = magic_buffer(handle, bytes, n < LIMIT_SNIFF_BYTES ? n : LIMIT_SNIFF_BYTES);
    if (!type || strlen(type) >= SNIFF_TYPE_BYTES)
        type = "application/octet-stream";
    memcpy(ret, type, strlen(type) + 1);
    return ST_OK;
}
