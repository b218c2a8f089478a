/* Routes: see router.h. Patterns are few and short: a scan over segment-wise comparisons costs less than
 * a hash. */
#include "fcgi/router.h"

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "domain/operations.h"

const char *const pool_names[POOL__COUNT] = { "api", "predict", "slow" };

struct compiled {
    const struct route *route;
    const struct dialect *dialect;
    char *text;                             /* prefix and pattern, cut into segments */
    const char *segments[REQUEST_SEGMENTS]; /* NULL: a variable */
    const char *names[REQUEST_SEGMENTS];
    size_t n;
};

struct router {
    struct compiled *items;
    size_t n;
};

static bool compile(struct compiled *c, const struct dialect *d, const struct route *route)
{
    const size_t prefix = strlen(d->prefix), pattern = strlen(route->pattern);
    char *rest, *part;

    c->route = route;
    c->dialect = d;
    if (!(c->text = malloc(prefix + pattern + 1)))
        return false;
    memcpy(c->text, d->prefix, prefix);
    memcpy(c->text + prefix, route->pattern, pattern + 1);
    rest = c->text + 1;
    while ((part = strsep(&rest, "/"))) {
        if (!*part)
            continue;
        if (*part == '{') {
            part[strlen(part) - 1] = '\0';
            c->names[c->n] = part + 1;
        } else {
            c->segments[c->n] = part;
        }
        c->n++;
    }
    return true;
}

struct router *router_create(const struct dialect *const *dialects, size_t n)
{
    struct router *r = calloc(1, sizeof *r);
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += dialects[i]->nroutes;
    if (!r || !(r->items = calloc(total + 1, sizeof *r->items))) {
        free(r);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < dialects[i]->nroutes; k++) {
            if (!compile(&r->items[r->n], dialects[i], &dialects[i]->routes[k])) {
                router_free(r);
                return NULL;
            }
            r->n++;
        }
    }
    return r;
}

void router_free(struct router *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        free(r->items[i].text);
    free(r->items);
    free(r);
}

static bool matches(const struct compiled *c, const struct request *rq)
{
    if (c->dialect != rq->dialect || c->n != rq->nsegments)
        return false;
    for (size_t i = 0; i < c->n; i++)
        if (c->segments[i] ? strcmp(c->segments[i], rq->segments[i]) != 0 : rq->segments[i][0] == '\0')
            return false;
    return true;
}

static void allow_add(char *allow, const char *method)
{
    const size_t n = strlen(allow), m = strlen(method);

    if (n + m + 3 < 64 && !strstr(allow, method)) {
        memcpy(allow + n, n ? ", " : "", n ? 2 : 0);
        memcpy(allow + n + (n ? 2 : 0), method, m + 1);
    }
}

enum status router_find(const struct router *r, struct request *rq, char *ret_allow, struct fault *f)
{
    const struct compiled *best = NULL;
    size_t best_literals = 0;

    ret_allow[0] = '\0';
    for (size_t i = 0; i < r->n; i++) {
        const struct compiled *c = &r->items[i];
        size_t literals = 1;

        if (!matches(c, rq))
            continue;
        if (strcmp(c->route->method, rq->method) != 0) {
            allow_add(ret_allow, c->route->method);
            continue;
        }
        for (size_t k = 0; k < c->n; k++)
            literals += c->segments[k] != NULL;
        if (literals > best_literals) { /* a literal word is more exact than a variable */
            best = c;
            best_literals = literals;
        }
    }
    if (!best)
        return *ret_allow
                   ? fault_set(f, ST_NO_METHOD, NULL, "this resource does not know %.16s", rq->method)
                   : fault_set(f, ST_NOT_FOUND, NULL, "there is no such resource");
    rq->route = best->route;
    for (size_t k = 0, v = 0; k < best->n; k++)
        if (!best->segments[k])
            rq->path_values[v++] = rq->segments[k];
    return ST_OK;
}

const char *request_path_value(const struct request *rq, const char *name)
{
    const size_t n = strlen(name);
    size_t v = 0;

    for (const char *p = rq->route->pattern; (p = strchr(p, '{')); p++, v++)
        if (strncmp(p + 1, name, n) == 0 && p[n + 1] == '}')
            return rq->path_values[v];
    return NULL;
}

size_t router_index(const struct router *r, const struct route *route)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].route == route)
            return i;
    return r->n;
}

size_t router_count(const struct router *r)
{
    return r->n;
}

const struct route *router_route(const struct router *r, size_t i, const struct dialect **ret_dialect)
{
    *ret_dialect = r->items[i].dialect;
    return r->items[i].route;
}

static void print_pattern(const char *s, FILE *out)
{
    while (*s) {
        if (*s == '{') {
            fputs("[^/]+", out);
            s += strcspn(s, "}") + 1;
        } else {
            if (strchr(".+*?()[]$^|", *s))
                fputc('\\', out);
            fputc(*s++, out);
        }
    }
}

void router_print_nginx_map(const struct dialect *const *dialects, size_t n, FILE *out)
{
    fputs("# Printed by fovea-api --nginx-map from the route tables. Do not edit.\n"
          "map \"$request_method:$dialect:$fovea_path\" $fovea_route {\n    default api;\n",
          out);
    for (size_t i = 0; i < n; i++) {
        const struct dialect *d = dialects[i];

        for (size_t k = 0; k < d->nroutes; k++) {
            const struct route *route = &d->routes[k];

            if (route->pool == POOL_API && !route->upload)
                continue;
            fprintf(out, "    \"~^%s:%s:", route->method, d->name);
            print_pattern(d->prefix, out);
            print_pattern(route->pattern, out);
            fprintf(out, "/?$\" %s;\n", pool_names[route->pool]);
        }
    }
    fputs("}\n", out);
}

static void print_scopes(unsigned scopes, FILE *out)
{
    const char *join = "";

    for (size_t bit = 0; scope_names[bit]; bit++) {
        if (scopes >> bit & 1) {
            fprintf(out, "%s%s", join, scope_names[bit]);
            join = ",";
        }
    }
}

void router_print_table(const struct dialect *const *dialects, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct dialect *d = dialects[i];

        for (size_t k = 0; k < d->nroutes; k++) {
            const struct route *route = &d->routes[k];

            fprintf(out, "%s\t%s\t%s%s\t", d->name, route->method, d->prefix, route->pattern);
            print_scopes(route->scopes, out);
            fprintf(out, "\t%s\n", pool_names[route->pool]);
        }
    }
}
