/* NPY arrays: what is written is read back; hostile headers are refused with a sentence. */
#include "tests/unit/test.h"

#include "inference/npy.h"

/* A version 1 file with this header and n bytes of elements, 0 1 2 ... */
static struct buffer file_of(const char *header, size_t n)
{
    struct buffer b = { 0 };
    const size_t length = strlen(header);

    buffer_bytes(&b, "\x93NUMPY\1", 8);
    buffer_char(&b, (char)(length & 255));
    buffer_char(&b, (char)(length >> 8));
    buffer_text(&b, header);
    for (size_t i = 0; i < n; i++)
        buffer_char(&b, (char)i);
    return b;
}

TEST(every_type_is_read_back_as_it_was_written)
{
    static const enum dtype types[] = { DTYPE_F32, DTYPE_I64, DTYPE_BOOL, DTYPE_U8, DTYPE_I8 };
    static const int64_t dims[] = { 2, 3, 4 };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (int rank = 0; rank <= 3; rank++) {
            struct value v = { .type = types[i], .rank = rank }, back = { 0 };
            struct buffer b = { 0 };
            struct fault f = FAULT_INIT;
            memcpy(v.dims, dims, sizeof dims);
            v.data = calloc(value_elements(&v), 8);
            for (size_t k = 0; k < value_bytes(&v); k++)
                value_u8(&v)[k] = v.type == DTYPE_BOOL ? k % 2 : (uint8_t)(k * 3);
            npy_write(&v, &b);
            CHECK(!b.failed && (b.n - value_bytes(&v)) % 64 == 0);
            REQUIRE(npy_read(b.p, b.n, &back, &f) == ST_OK);
            CHECK(back.type == v.type && value_same_shape(&back, &v));
            CHECK(memcmp(back.data, v.data, value_bytes(&v)) == 0);
            free(v.data);
            free(back.data);
            buffer_free(&b);
        }
}

TEST(other_types_are_widened)
{
    struct buffer d = file_of("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", 0);
    struct buffer i = file_of("{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}", 0);
    const double x = 2.5;
    const int32_t n = -7;
    struct value v = { 0 };
    struct fault f = FAULT_INIT;

    buffer_bytes(&d, &x, sizeof x);
    REQUIRE(npy_read(d.p, d.n, &v, &f) == ST_OK);
    CHECK(v.type == DTYPE_F32);
    CHECK_NEAR(value_f32(&v)[0], 2.5, 0);
    free(v.data);
    buffer_bytes(&i, &n, sizeof n);
    REQUIRE(npy_read(i.p, i.n, &v, &f) == ST_OK);
    CHECK(v.type == DTYPE_I64);
    CHECK_I64(value_i64(&v)[0], -7);
    free(v.data);
    buffer_free(&d);
    buffer_free(&i);
}

TEST(headers_that_are_wrong_are_refused_with_the_reason)
{
    static const struct {
        const char *header;
        size_t n;
        enum status st;
        const char *says;
    } cases[] = {
        { "{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", 4, ST_UNSUPPORTED, "Fortran" },
        { "{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", 4, ST_UNSUPPORTED, "elements" },
        { "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 4, ST_UNSUPPORTED, "elements" },
        { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4, ST_INVALID, "type" },
        { "{'fortran_order': False, 'shape': (1,)}", 4, ST_INVALID, "type" },
        { "{'descr': '<f4', 'shape': (1,)}", 4, ST_INVALID, "order" },
        { "{'descr': '<f4', 'fortran_order': False}", 4, ST_INVALID, "shape" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, ST_TOO_LARGE, "large" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': ('a',)}", 4, ST_INVALID, "integers" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4, ST_TOO_LARGE,
          "dimensions" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 8)}", 4, ST_TOO_LARGE,
          "large" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 4, ST_INVALID, "wants 8" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", 4, ST_INVALID, "wants 0" },
        { "__import__('os').system('true')", 0, ST_INVALID, "cannot be read" },
        { "[1, 2]", 0, ST_INVALID, "cannot be read" },
        { "", 0, ST_INVALID, "cannot be read" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer b = file_of(cases[i].header, cases[i].n);
        struct value v = { 0 };
        struct fault f = FAULT_INIT;
        const enum status st = npy_read(b.p, b.n, &v, &f);
        if (st != cases[i].st || !strstr(f.detail, cases[i].says))
            TEST_FAIL_("%s: status %d, \"%s\"", cases[i].header, (int)st, f.detail);
        buffer_free(&b);
    }
}

TEST(every_cut_of_a_file_is_refused)
{
    struct buffer b = file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", 16);
    struct value v = { 0 };
    struct fault f = FAULT_INIT;

    for (size_t n = 0; n < b.n; n++) {
        char *exact = malloc(n + 1);
        memcpy(exact, b.p, n);
        CHECK(npy_read(exact, n, &v, &f) == ST_INVALID);
        free(exact);
    }
    b.p[6] = 9;
    CHECK(npy_read(b.p, b.n, &v, &f) == ST_UNSUPPORTED);
    buffer_free(&b);
}

TEST(a_header_of_version_2_may_be_long_but_not_over_the_limit)
{
    struct buffer b = { 0 };
    struct value v = { 0 };
    struct fault f = FAULT_INIT;

    buffer_bytes(&b, "\x93NUMPY\2\0\xff\xff\xff\x7f{}", 14);
    CHECK(npy_read(b.p, b.n, &v, &f) == ST_TOO_LARGE);
    buffer_free(&b);
}
