/*
 * Weights that crashed or hung the process which ran them are refused from then on; here an
 * administrator sees them, and gives one another chance. Models of the same bytes share their fate.
 */
#include "cli/condemned.h"

enum status condemned_list(struct cli *c, struct fault *f)
{
    static const char sql[] =
        "SELECT " MODEL_ID " AS model, m.name, encode(w.digest, 'hex') AS weights, w.reason,"
        " w.condemned_at FROM domain.condemned_weights AS w"
        " LEFT JOIN (domain.model_file AS x JOIN domain.model AS m ON m.id = x.model_id)"
        " ON x.digest = w.digest AND x.purpose = 'weights' ORDER BY w.condemned_at, m.id";

    return cli_list(c, sql, NULL, 0, f);
}

/* A model's id, or the digest of its weights: one of the two is not found. */
enum status condemned_enable(struct cli *c, struct fault *f)
{
    const struct param who = p_text(c->argument);
    const struct db_call call = {
        "SELECT encode(w.digest, 'hex') AS weights, w.reason, domain.weights_pardon(w.digest) AS enabled"
        " FROM domain.condemned_weights AS w WHERE encode(w.digest, 'hex') = $1"
        " OR w.digest = (SELECT x.digest FROM domain.model AS m JOIN domain.model_file AS x"
        " ON x.model_id = m.id AND x.purpose = 'weights' WHERE " MODEL_ID " = $1)",
        &who, 1
    };

    return cli_write(c, &call, 1, "condemned model", f);
}
