/*
 * A multipart body becomes the request's form and one file. The body comes from the file that nginx
 * spooled (or from the pipe when it is small); the file part is copied out and hashed in one pass, or
 * kept in memory.
 */
#ifndef FCGI_UPLOAD_H
#define FCGI_UPLOAD_H

#include "fcgi/http.h"
#include "media/store.h"

struct upload {
    bool has_file;
    char filename[256];
    struct spool *spool; /* upload_to_store; NULL without a file */
    struct buffer bytes; /* upload_to_memory */
};

/* True when the request's body is multipart/form-data. */
bool upload_is_multipart(const struct request *rq);

/* part: name of the file part. Other file parts are refused by name. Fills rq->form. Release with
 * upload_free. */
enum status upload_to_store(struct request *rq, const char *part, int64_t max_bytes, struct upload *ret,
                            struct fault *f) MUST_USE;
enum status upload_to_memory(struct request *rq, const char *part, int64_t max_bytes, struct upload *ret,
                             struct fault *f) MUST_USE;
void upload_free(struct upload *u);

/* spool_settle in the form of a last word before a commit (db_write_checked, request.before_commit): a
 * sweep may have taken the file since it was published; from the row on it can't. */
enum status upload_settle(void *spool, struct fault *f) MUST_USE;

#endif
