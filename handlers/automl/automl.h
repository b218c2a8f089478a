/* The Projects API of an AutoML platform: tables, and the ZIP export. */
#ifndef HANDLERS_AUTOML_H
#define HANDLERS_AUTOML_H

#include "fcgi/dialect.h"

extern const struct dialect automl_dialect;

/* policy.c */
enum status automl_credential(const struct request *rq, struct slice *ret, struct fault *f);
enum status automl_page(const struct request *rq, const struct page_rule *rule, struct page *ret,
                        struct fault *f);
enum status automl_ref(const char *text, struct arena *a, struct ref *ret);
void automl_fault(const struct request *rq, struct response *rs, enum status st, const struct fault *f);

/* exceptions */
enum status automl_timeline(struct request *rq, struct response *rs, struct fault *f);
enum status automl_export(struct request *rq, struct response *rs, struct fault *f);

#endif
