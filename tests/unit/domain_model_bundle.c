/* Models in archives: what becomes of them, and what hostile archives come to. */
#include "tests/unit/test.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/limits.h"
#include "domain/model_bundle.h"
#include "inference/model/model.h"
#include "inference/predictor.h"
#include "media/unpack.h"
#include "tests/unit/inference_onnx_writer.h"

enum { ARCHIVE_MOST = 8 << 20, WEIGHTS = 12 };

enum form { FORM_ZIP, FORM_STORED_ZIP, FORM_TAR, FORM_TAR_GZ };

/* One entry of an archive that a test makes. */
struct entry {
    const char *name;
    const void *p;
    size_t n;
    const char *symlink, *hardlink;
};

static struct buffer make_archive(enum form form, const struct entry entries[], size_t n)
{
    struct archive *a = archive_write_new();
    struct buffer out = { .p = malloc(ARCHIVE_MOST) };

    if (form == FORM_ZIP || form == FORM_STORED_ZIP)
        archive_write_set_format_zip(a);
    else
        archive_write_set_format_pax_restricted(a);
    if (form == FORM_STORED_ZIP)
        archive_write_zip_set_compression_store(a);
    if (form == FORM_TAR_GZ)
        archive_write_add_filter_gzip(a);
    archive_write_open_memory(a, out.p, ARCHIVE_MOST, &out.n);
    for (size_t i = 0; i < n; i++) {
        struct archive_entry *e = archive_entry_new();

        archive_entry_set_pathname(e, entries[i].name);
        archive_entry_set_filetype(e, entries[i].symlink ? AE_IFLNK : AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, (int64_t)entries[i].n);
        if (entries[i].symlink)
            archive_entry_set_symlink(e, entries[i].symlink);
        if (entries[i].hardlink)
            archive_entry_set_hardlink(e, entries[i].hardlink);
        archive_write_header(a, e);
        if (entries[i].n)
            archive_write_data(a, entries[i].p, entries[i].n);
        archive_entry_free(e);
    }
    archive_write_close(a);
    archive_write_free(a);
    return out;
}

/* ---- models */

static void external_entry(struct buffer *tensor, const char *key, const char *value)
{
    struct buffer e = { 0 };

    pb_text(&e, 1, key);
    pb_text(&e, 2, value);
    pb_message(tensor, 13, &e);
}

/* x + w of WEIGHTS floats that lie elsewhere; offset, length: NULL for none. */
static struct buffer external_model(const char *location, const char *offset, const char *length)
{
    const int64_t dims[] = { WEIGHTS };
    struct buffer g = { 0 }, t = { 0 };

    pb_int(&t, 1, WEIGHTS);
    pb_int(&t, 2, ONNX_FLOAT);
    pb_text(&t, 8, "w");
    external_entry(&t, "location", location);
    if (offset)
        external_entry(&t, "offset", offset);
    if (length)
        external_entry(&t, "length", length);
    external_entry(&t, "checksum", "0123");
    pb_int(&t, 14, 1);
    pb_message(&g, 5, &t);
    onnx_input(&g, "x", 1, dims);
    onnx_output(&g, "y");
    onnx_node(&g, "Add", "x w", "y", NULL);
    return onnx_model(&g, 17, NULL);
}

static enum status append(void *buffer, const void *p, size_t n, struct fault *f)
{
    (void)f;
    buffer_bytes(buffer, p, n);
    return ST_OK;
}

static enum status pack(const struct buffer *archive, int64_t most, struct buffer *ret, char *name,
                        struct fault *f)
{
    const int folder = open("/tmp", O_RDONLY | O_DIRECTORY);
    enum status st = model_bundle_pack(archive->p, archive->n, folder, most,
                                       &(struct bundle_sink){ ret, append }, name, f);

    close(folder);
    return st;
}

static float weight(size_t i)
{
    return (float)i * 0.5f - 1;
}

TEST(weights_beside_the_model_move_into_it)
{
    static const struct {
        const char *model, *data, *location, *offset, *length;
        size_t before; /* bytes of other data */
    } cases[] = {
        { "best.onnx", "best.onnx.data", "best.onnx.data", NULL, NULL, 0 },
        { "best.onnx", "weights.bin", "./weights.bin", "8", "48", 8 },
        { "export/best.onnx", "export/w/0", "w/0", "4096", NULL, 4096 },
        { "./best.ONNX", "./weights.bin", "weights.bin", "0", "48", 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (enum form form = FORM_ZIP; form <= FORM_TAR_GZ; form++) {
            struct buffer m = external_model(cases[i].location, cases[i].offset, cases[i].length);
            struct buffer data = { 0 }, archive, packed = { 0 };
            char name[MODEL_BUNDLE_NAME] = "";
            struct fault f = FAULT_INIT;
            struct model *model = NULL;

            for (size_t k = 0; k < cases[i].before; k++)
                buffer_char(&data, 'x');
            for (size_t k = 0; k < WEIGHTS; k++)
                buffer_bytes(&data, &(float){ weight(k) }, sizeof(float));
            archive = make_archive(form,
                                   (struct entry[]){ { "README", "hello", 5, NULL, NULL },
                                                     { cases[i].model, m.p, m.n, NULL, NULL },
                                                     { cases[i].data, data.p, data.n, NULL, NULL },
                                                     { "__MACOSX/._best.onnx", "?", 1, NULL, NULL } },
                                   4);
            if (pack(&archive, 1 << 20, &packed, name, &f) != ST_OK ||
                onnx_read(packed.p, packed.n, &model, &f) != ST_OK)
                TEST_FAIL_("case %zu, form %d: %s", i, form, f.detail);
            for (int t = 0; model && t < model->graph->ntensors; t++)
                for (size_t k = 0; model->graph->tensors[t].v.data && k < WEIGHTS; k++)
                    CHECK_NEAR(((const float *)model->graph->tensors[t].v.data)[k], weight(k), 0);
            CHECK_I64(model ? model->parameters : 0, WEIGHTS);
            CHECK(strcasecmp(name, "best.onnx") == 0);
            model_free(model);
            buffer_free(&m);
            buffer_free(&data);
            buffer_free(&archive);
            buffer_free(&packed);
        }
}

/* A model that has all its weights inside comes out as it went in. */
TEST(a_model_without_data_files_stays_as_it_is_byte_for_byte)
{
    FILE *in = fopen("demo/digits.onnx", "rb");
    struct buffer m = { .p = malloc(2 << 20) }, archive, packed = { 0 };
    char name[MODEL_BUNDLE_NAME];
    struct fault f = FAULT_INIT;

    REQUIRE(in);
    m.n = fread(m.p, 1, 2 << 20, in);
    fclose(in);
    archive = make_archive(FORM_ZIP, &(struct entry){ "a/digits.onnx", m.p, m.n, NULL, NULL }, 1);
    CHECK_I64(pack(&archive, 2 << 20, &packed, name, &f), ST_OK);
    CHECK_SIZE(packed.n, m.n);
    CHECK(packed.n == m.n && memcmp(packed.p, m.p, m.n) == 0);
    CHECK_STR(name, "digits.onnx");
    buffer_free(&m);
    buffer_free(&archive);
    buffer_free(&packed);
}

/* ---- what is refused */

static void check_refused(const char *what, const struct buffer *archive, int64_t most, enum status want,
                          const char *word)
{
    struct buffer packed = { 0 };
    char name[MODEL_BUNDLE_NAME];
    struct fault f = FAULT_INIT;
    const enum status st = pack(archive, most, &packed, name, &f);

    if (st != want || !strstr(f.detail, word))
        TEST_FAIL_("%s: %s, %s", what, status_name(st), f.detail);
    if (st != ST_UNAVAILABLE)
        CHECK_STR(f.field, "file");
    buffer_free(&packed);
}

TEST(a_tensor_cannot_reach_out_of_the_bundle)
{
    static const struct {
        const char *location, *offset, *length, *word;
    } cases[] = {
        { "absent.bin", NULL, NULL, "absent.bin" },
        { "", NULL, NULL, "not in the archive" },
        { "/etc/passwd", NULL, NULL, "not in the archive" },
        { "../w.bin", NULL, NULL, "not in the archive" },
        { "a/../w.bin", NULL, NULL, "not in the archive" },
        { "w.bin", "49", NULL, "behind the end" },
        { "w.bin", "1", "48", "behind the end" },
        { "w.bin", "0", "49", "behind the end" },
        { "w.bin", "-1", NULL, "behind the end" },
        { "w.bin", "0x0", NULL, "behind the end" },
        { "w.bin", "9223372036854775807", "9223372036854775807", "behind the end" },
        { "w.bin", "99999999999999999999999999", NULL, "behind the end" },
    };
    static const float w[WEIGHTS];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer m = external_model(cases[i].location, cases[i].offset, cases[i].length);
        struct buffer archive = make_archive(FORM_ZIP,
                                             (struct entry[]){ { "m/best.onnx", m.p, m.n, NULL, NULL },
                                                               { "m/w.bin", w, sizeof w, NULL, NULL },
                                                               { "w.bin", w, sizeof w, NULL, NULL } },
                                             3);

        check_refused(cases[i].location, &archive, 1 << 20, ST_INVALID, cases[i].word);
        buffer_free(&m);
        buffer_free(&archive);
    }
}

TEST(archives_that_lie_are_refused)
{
    struct buffer m = external_model("w.bin", NULL, NULL);
    const struct entry model = { "best.onnx", m.p, m.n, NULL, NULL };
    char *const zeros = calloc(1, 32 << 20);
    struct buffer inner = make_archive(FORM_ZIP, &model, 1);
    const struct {
        const char *what, *word;
        enum form form;
        struct entry entries[3];
        size_t n;
        int64_t most;
        enum status want;
    } cases[] = {
        { "two models",
          "more than one",
          FORM_ZIP,
          { model, { "b.onnx", m.p, m.n, NULL, NULL } },
          2,
          1 << 20,
          ST_INVALID },
        { "no model",
          "no .onnx",
          FORM_ZIP,
          { { "w.bin", "x", 1, NULL, NULL } },
          1,
          1 << 20,
          ST_INVALID },
        { "nested",
          "no .onnx",
          FORM_ZIP,
          { { "best.zip", inner.p, inner.n, NULL, NULL } },
          1,
          1 << 20,
          ST_INVALID },
        { "absolute",
          "leaves it",
          FORM_TAR,
          { model, { "/w.bin", "x", 1, NULL, NULL } },
          2,
          1 << 20,
          ST_INVALID },
        { "upward",
          "leaves it",
          FORM_ZIP,
          { model, { "../w.bin", "x", 1, NULL, NULL } },
          2,
          1 << 20,
          ST_INVALID },
        { "upward inside",
          "leaves it",
          FORM_TAR_GZ,
          { model, { "a/../w.bin", "x", 1, NULL, NULL } },
          2,
          1 << 20,
          ST_INVALID },
        { "backslash",
          "leaves it",
          FORM_TAR,
          { model, { "..\\w.bin", "x", 1, NULL, NULL } },
          2,
          1 << 20,
          ST_INVALID },
        { "symbolic link",
          "link",
          FORM_TAR,
          { model, { "w.bin", NULL, 0, "/etc/passwd", NULL } },
          2,
          1 << 20,
          ST_INVALID },
        { "symbolic link in ZIP",
          "link",
          FORM_ZIP,
          { model, { "w.bin", NULL, 0, "/etc/passwd", NULL } },
          2,
          1 << 20,
          ST_INVALID },
        { "hard link",
          "link",
          FORM_TAR,
          { model, { "w.bin", NULL, 0, NULL, "best.onnx" } },
          2,
          1 << 20,
          ST_INVALID },
        { "one name twice", "one name", FORM_TAR, { model, model }, 2, 1 << 20, ST_INVALID },
        { "bomb",
          "times its size",
          FORM_ZIP,
          { model, { "w.bin", zeros, 32 << 20, NULL, NULL } },
          2,
          1 << 30,
          ST_TOO_LARGE },
        { "bomb in gzip",
          "times its size",
          FORM_TAR_GZ,
          { model, { "w.bin", zeros, 32 << 20, NULL, NULL } },
          2,
          1 << 30,
          ST_TOO_LARGE },
        { "larger than allowed",
          "bytes",
          FORM_STORED_ZIP,
          { model, { "w.bin", zeros, 5000, NULL, NULL } },
          2,
          5000,
          ST_TOO_LARGE },
        { "weights missing", "w.bin", FORM_ZIP, { model }, 1, 1 << 20, ST_INVALID },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer archive = make_archive(cases[i].form, cases[i].entries, cases[i].n);

        check_refused(cases[i].what, &archive, cases[i].most, cases[i].want, cases[i].word);
        buffer_free(&archive);
    }
    buffer_free(&inner);
    buffer_free(&m);
    free(zeros);
}

TEST(an_archive_of_too_many_files_is_refused)
{
    const size_t n = LIMIT_UNPACK_FILES + 1;
    struct entry *entries = calloc(n, sizeof *entries);
    char(*names)[16] = calloc(n, sizeof *names);
    struct buffer archive;

    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "f%zu", i);
        entries[i] = (struct entry){ names[i], "x", 1, NULL, NULL };
    }
    archive = make_archive(FORM_ZIP, entries, n);
    check_refused("files", &archive, 1 << 20, ST_TOO_LARGE, "files");
    buffer_free(&archive);
    free(entries);
    free(names);
}

/* A gzip in a gzip is work without end: one is enough. */
TEST(what_is_packed_more_than_once_is_refused)
{
    struct buffer once = make_archive(FORM_TAR_GZ, &(struct entry){ "a.onnx", "x", 1, NULL, NULL }, 1);
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    struct buffer twice = { .p = malloc(ARCHIVE_MOST) };

    archive_write_set_format_raw(a);
    archive_write_add_filter_gzip(a);
    archive_write_open_memory(a, twice.p, ARCHIVE_MOST, &twice.n);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_write_header(a, e);
    archive_write_data(a, once.p, once.n);
    archive_entry_free(e);
    archive_write_close(a);
    archive_write_free(a);
    check_refused("gzip twice", &twice, 1 << 20, ST_INVALID, "more than once");
    buffer_free(&once);
    buffer_free(&twice);
}

/* Many tensors that name the same bytes would make a small bundle a huge model. */
TEST(a_model_that_multiplies_its_data_is_refused)
{
    enum { TENSORS = 300, EACH = 4 << 20 };
    struct buffer g = { 0 }, m, archive;
    char *data = malloc(EACH);
    unsigned x = 1;

    for (int i = 0; i < EACH; i++) /* does not compress */
        data[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
    for (int i = 0; i < TENSORS; i++) {
        struct buffer t = { 0 };

        pb_int(&t, 1, EACH);
        pb_int(&t, 2, 2);
        external_entry(&t, "location", "w.bin");
        pb_int(&t, 14, 1);
        pb_message(&g, 5, &t);
    }
    m = onnx_model(&g, 17, NULL);
    archive = make_archive(
        FORM_STORED_ZIP,
        (struct entry[]){ { "a.onnx", m.p, m.n, NULL, NULL }, { "w.bin", data, EACH, NULL, NULL } }, 2);
    check_refused("300 times 4 MiB", &archive, 1 << 30, ST_TOO_LARGE, "bytes");
    buffer_free(&m);
    buffer_free(&archive);
    free(data);
}

TEST(archives_cut_or_damaged_are_refused_or_read)
{
    struct buffer m = external_model("w.bin", NULL, NULL);
    static const float w[WEIGHTS];

    for (enum form form = FORM_ZIP; form <= FORM_TAR_GZ; form++) {
        struct buffer archive = make_archive(form,
                                             (struct entry[]){ { "best.onnx", m.p, m.n, NULL, NULL },
                                                               { "w.bin", w, sizeof w, NULL, NULL } },
                                             2);

        for (size_t at = 0; at < archive.n; at += form == FORM_TAR ? 97 : 1) {
            struct buffer packed = { 0 };
            char name[MODEL_BUNDLE_NAME];
            struct fault f = FAULT_INIT;
            const char was = archive.p[at];

            archive.p[at] = (char)(was ^ (1 << (at % 8)));
            if (pack(&archive, 1 << 20, &packed, name, &f) != ST_OK)
                CHECK(f.detail[0]);
            archive.p[at] = was;
            buffer_free(&packed);
        }
        for (size_t part = 0; part < 8; part++) {
            struct buffer cut = { .p = archive.p, .n = archive.n * part / 16 }, packed = { 0 };
            char name[MODEL_BUNDLE_NAME];
            struct fault f = FAULT_INIT;

            if (form != FORM_TAR && pack(&cut, 1 << 20, &packed, name, &f) == ST_OK)
                TEST_FAIL_("form %d cut at %zu/16 was accepted", form, part);
            buffer_free(&packed);
        }
        buffer_free(&archive);
    }
    buffer_free(&m);
}

TEST(archives_are_known_by_their_names)
{
    CHECK(unpack_is_archive("a.zip") && unpack_is_archive("a.TAR.GZ") && unpack_is_archive("a.tgz") &&
          unpack_is_archive("a.tar"));
    CHECK(!unpack_is_archive("zip") && !unpack_is_archive(".zip") && !unpack_is_archive("a.gz") &&
          !unpack_is_archive("a.onnx") && !unpack_is_archive("a.zip.onnx"));
}
