/*
 * GET /projects/{project_id}/export: the project as a ZIP archive, streamed.
 *
 * The list of entries is read in one snapshot into two unlinked files of the store's temporary folder
 * (an index and the texts), so that neither memory nor a database transaction grows with the project;
 * then the archive is written from them and from the published files, at the client's pace.
 * manifest.json comes last, when all sizes and hashes are known. A file that is missing on disk is
 * listed in `missing`. A client that leaves ends the export.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/json.h"
#include "domain/operations.h"
#include "fcgi/context.h"
#include "fcgi/dbpool.h"
#include "handlers/automl/automl.h"
#include "media/store.h"
#include "media/zip.h"

/* One line of the index: what stands under a path. */
struct line {
    char path[512];
    bool is_file;
    struct digest digest; /* is_file */
    int64_t offset, size; /* offset: of a text in the file of texts */
};

struct export
{
    struct request *rq;
    struct response *rs;
    FILE *index, *texts, *manifest; /* manifest: the members of `files` */
    struct buffer missing;
    char *head, *slug; /* the manifest without its lists; name of the archive */
    struct zip_writer *zip;
    bool comma;
};

static FILE *temporary(struct fault *f)
{
    char path[600];
    int fd;
    FILE *file = NULL;

    snprintf(path, sizeof path, "%s/tmp", config_text("media_dir"));
    fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 && !(file = fdopen(fd, "w+")))
        close(fd);
    if (!file)
        (void)fault_set(f, ST_UNAVAILABLE, NULL, "no temporary file could be made");
    return file;
}

static enum status full(struct fault *f)
{
    return fault_set(f, ST_UNAVAILABLE, NULL, "no room for the export's temporary files");
}

/* A row of automl.export_entry: text pieces of one path follow each other. */
static enum status take_row(struct export *e, const PGresult *r, struct line *current, struct fault *f)
{
    const char *path = row_text(r, 0, 0), *body = row_text(r, 0, 1);
    struct line line = { .is_file = body == NULL, .offset = ftell(e->texts) };

    if (!path || strlen(path) >= sizeof line.path)
        return fault_set(f, ST_INTERNAL, NULL, "an entry has no usable path");
    snprintf(line.path, sizeof line.path, "%s", path);
    if (line.is_file) {
        line.size = row_i64(r, 0, 3);
        if (!row_bytes(r, 0, 2, line.digest.bytes, DIGEST_BYTES))
            return fault_set(f, ST_INTERNAL, NULL, "an entry has no digest");
    } else if (fputs(body, e->texts) < 0) {
        return full(f);
    }
    if (current->path[0] && strcmp(current->path, line.path) == 0 && !line.is_file) {
        current->size = ftell(e->texts) - current->offset;
        return ST_OK;
    }
    if (current->path[0] && fwrite(current, sizeof *current, 1, e->index) != 1)
        return full(f);
    if (!line.is_file)
        line.size = ftell(e->texts) - line.offset;
    *current = line;
    return ST_OK;
}

static enum status read_rows(struct export *e, PGconn *conn, struct fault *f)
{
    struct line current = { 0 };
    enum status st = ST_OK;
    PGresult *r;

    while ((r = PQgetResult(conn))) {
        const ExecStatusType t = PQresultStatus(r);

        if (t == PGRES_SINGLE_TUPLE && st == ST_OK)
            st = take_row(e, r, &current, f);
        else if (t != PGRES_SINGLE_TUPLE && t != PGRES_TUPLES_OK && st == ST_OK)
            st = fault_set(f, ST_UNAVAILABLE, NULL, "the project could not be read");
        PQclear(r);
    }
    if (st == ST_OK && current.path[0] && fwrite(&current, sizeof current, 1, e->index) != 1)
        st = full(f);
    return st == ST_OK && (fflush(e->index) || fflush(e->texts)) ? full(f) : st;
}

static enum status read_entries(struct export *e, const struct sentence *s, struct fault *f)
{
    const char *values[OPERATION_PARAMS];
    PGconn *conn = db_connection(e->rq->db);

    for (size_t i = 0; i < s->n; i++)
        values[i] = s->params[i].text;
    if (!conn || !PQsendQueryParams(conn, s->sql, (int)s->n, NULL, values, NULL, NULL, 0) ||
        !PQsetSingleRowMode(conn))
        return fault_set(f, ST_UNAVAILABLE, NULL, "the database is not available, try again");
    return read_rows(e, conn, f);
}

static enum status read_manifest(struct export *e, const struct sentence *s, struct fault *f)
{
    PGresult *r;
    enum status st = db_read(e->rq->db, s->sql, s->params, s->n, &r, f);

    if (st != ST_OK)
        return st;
    if (PQntuples(r) == 0)
        st = fault_set(f, ST_NOT_FOUND, NULL, "not found");
    else if (!(e->head = arena_strdup(e->rq->arena, row_text(r, 0, 0))) ||
             !(e->slug = arena_strdup(e->rq->arena, row_text(r, 0, 1))))
        st = fault_set(f, ST_TOO_LARGE, NULL, "the project's manifest is too large");
    PQclear(r);
    return st;
}

/* Both reads see one snapshot. */
static enum status collect(struct export *e, struct fault *f)
{
    const struct asker asker = { request_base_url(e->rq) };
    const struct shape manifest = { "automl", "export_manifest", NULL },
                       entries = { "automl", "export_entry", NULL };
    const struct operation *op = e->rq->route->op;
    struct sentence head, list;
    struct fault ignored;
    enum status st;

    if ((st = operation_read(op, &e->rq->who, &asker, &manifest, e->rq->command, NULL, e->rq->arena,
                             &head, f)) != ST_OK ||
        (st = operation_read(op, &e->rq->who, &asker, &entries, e->rq->command, NULL, e->rq->arena,
                             &list, f)) != ST_OK ||
        (st = db_command(e->rq->db, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", f)) != ST_OK)
        return st;
    if ((st = read_manifest(e, &head, f)) == ST_OK)
        st = read_entries(e, &list, f);
    if (db_command(e->rq->db, "COMMIT", &ignored) != ST_OK && st == ST_OK)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the database is not available, try again");
    return st;
}

static enum status to_client(void *arg, const void *p, size_t n, struct fault *f)
{
    struct export *e = arg;

    return response_stream(e->rq, e->rs, p, n)
               ? ST_OK
               : fault_set(f, ST_UNAVAILABLE, NULL, "the client has gone");
}

static void list_file(struct export *e, const struct line *l, const struct digest *d)
{
    struct buffer b = { 0 };
    char hex[DIGEST_HEX + 1];

    digest_to_hex(d, hex);
    buffer_text(&b, e->comma ? ",{\"path\":" : "{\"path\":");
    json_write_string(&b, l->path, strlen(l->path));
    buffer_printf(&b, ",\"size\":%" PRId64 ",\"sha256\":\"%s\"}", l->size, hex);
    fwrite(b.p, 1, b.n, e->manifest);
    buffer_free(&b);
    e->comma = true;
}

static void list_missing(struct export *e, const struct line *l)
{
    buffer_text(&e->missing, e->missing.n ? "," : "");
    json_write_string(&e->missing, l->path, strlen(l->path));
}

static enum status write_line(struct export *e, const struct line *l, struct fault *f)
{
    const struct zip_entry entry = { l->path, clock_wall_us() / 1000000, !l->is_file };
    int fd = l->is_file ? store_open_fd(e->rq->ctx->store, &l->digest) : fileno(e->texts);
    struct digest d;
    enum status st;

    if (fd < 0) {
        list_missing(e, l);
        return ST_OK;
    }
    st = zip_entry_file(e->zip, &entry, fd, l->is_file ? 0 : l->offset, l->size, &d, f);
    if (l->is_file)
        close(fd);
    if (st == ST_OK)
        list_file(e, l, &d);
    return st;
}

/* {"format_version":1, ... ,"files":[...],"missing":[...]}: assembled in the file of texts, then one
 * entry. */
static enum status write_manifest(struct export *e, struct fault *f)
{
    const struct zip_entry entry = { "manifest.json", clock_wall_us() / 1000000, true };
    char piece[8192];
    long begin;
    size_t n;

    fseek(e->texts, 0, SEEK_END);
    begin = ftell(e->texts);
    fwrite(e->head, 1, strlen(e->head) - 1, e->texts); /* without its closing brace */
    fputs(",\"files\":[", e->texts);
    rewind(e->manifest);
    while ((n = fread(piece, 1, sizeof piece, e->manifest)) > 0)
        fwrite(piece, 1, n, e->texts);
    fprintf(e->texts, "],\"missing\":[%s]}", buffer_terminate(&e->missing));
    if (fflush(e->texts) || ferror(e->texts) || ferror(e->manifest))
        return full(f);
    return zip_entry_file(e->zip, &entry, fileno(e->texts), begin, ftell(e->texts) - begin, NULL, f);
}

static enum status stream(struct export *e, struct fault *f)
{
    const struct zip_sink sink = { e, to_client };
    struct line l;
    enum status st;

    rewind(e->index);
    if ((st = zip_create(&sink, &e->zip, f)) != ST_OK)
        return st;
    while (st == ST_OK && fread(&l, sizeof l, 1, e->index) == 1)
        st = write_line(e, &l, f);
    if (st == ST_OK)
        st = write_manifest(e, f);
    return st == ST_OK ? zip_finish(e->zip, f) : st;
}

enum status automl_export(struct request *rq, struct response *rs, struct fault *f)
{
    struct export e = { .rq = rq, .rs = rs };
    enum status st;
    int place = -1;

    if ((st = stream_enter(rq, &place, f)) != ST_OK)
        goto out;
    st = ST_UNAVAILABLE;
    if (!(e.index = temporary(f)) || !(e.texts = temporary(f)) || !(e.manifest = temporary(f)))
        goto out;
    if ((st = collect(&e, f)) != ST_OK)
        goto out;
    request_db_release(rq); /* the client's pace is its own */
    rs->content_type = "application/zip";
    response_header(rs, "Content-Disposition", "attachment; filename=\"%s_export.zip\"", e.slug);
    response_header(rs, "X-Request-ID", "%s", rq->id);
    if (response_stream_begin(rq, rs) && !rq->head)
        st = stream(&e, f);
out:
    zip_free(e.zip);
    buffer_free(&e.missing);
    if (e.index)
        fclose(e.index);
    if (e.texts)
        fclose(e.texts);
    if (e.manifest)
        fclose(e.manifest);
    stream_leave(rq, place);
    return st;
}
