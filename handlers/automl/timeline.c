/* GET /projects/{project_id}/timeline: the newest thousand entries, oldest first, without paging. */
#include "domain/operations.h"
#include "handlers/automl/automl.h"

enum { TIMELINE_ENTRIES = 1000 };

enum status automl_timeline(struct request *rq, struct response *rs, struct fault *f)
{
    const struct timeline *cmd = rq->command;

    rq->page.limit = TIMELINE_ENTRIES;
    request_extra(rq, "project_id", arena_printf(rq->arena, "\"%s\"", cmd->project.uuid));
    return respond_operation(rq, rs, f);
}
