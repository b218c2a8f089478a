-- What only other functions of this schema call: parts without an actor or without a check of their own. The API's role
-- may call all the rest (the migrator grants it as functions are made).
REVOKE EXECUTE ON FUNCTION
    domain.fail, domain.remember,
    domain.slug_of, domain.slug_numbered, domain.slug_taken, domain.slug_free,
    domain.project_rank, domain.require_project, domain.require_model, domain.require_context,
    domain.require_other_owner, domain.require_model_quota, domain.require_storage,
    domain.event_add, domain.project_erase, domain.blob_put,
    domain.weights_pardon
FROM fovea_api;
