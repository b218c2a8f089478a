/* The Ultralytics Platform API: tables and the few handlers that tables can't say. Spec: the REST API
 * reference. */
#ifndef HANDLERS_ULTRALYTICS_H
#define HANDLERS_ULTRALYTICS_H

#include "fcgi/dialect.h"

extern const struct dialect ultralytics_dialect;
extern const struct route ultralytics_routes[];

/* policy.c */
enum status ultralytics_credential(const struct request *rq, struct slice *ret, struct fault *f);
enum status ultralytics_page(const struct request *rq, const struct page_rule *rule, struct page *ret,
                             struct fault *f);
enum status ultralytics_ref(const char *text, struct arena *a, struct ref *ret);
void ultralytics_fault(const struct request *rq, struct response *rs, enum status st,
                       const struct fault *f);
void ultralytics_headers(const struct request *rq, struct response *rs);

/* exceptions */
enum status ultralytics_projects(struct request *rq, struct response *rs, struct fault *f);
enum status ultralytics_model_upload(struct request *rq, struct response *rs, struct fault *f);
enum status ultralytics_upload_create(struct request *rq, struct response *rs, struct fault *f);
enum status ultralytics_upload_complete(struct request *rq, struct response *rs, struct fault *f);
enum status ultralytics_predict(struct request *rq, struct response *rs, struct fault *f);
enum status ultralytics_api_key_create(struct request *rq, struct response *rs, struct fault *f);
enum status ultralytics_api_key_revoke(struct request *rq, struct response *rs, struct fault *f);
enum status ultralytics_storage(struct request *rq, struct response *rs, struct fault *f);
enum status ultralytics_events(struct request *rq, struct response *rs, struct fault *f);

#endif
