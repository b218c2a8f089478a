-- Datasets.

-- The dataset for what names a project only; made, with the project's label set, when it is first asked for.
CREATE FUNCTION domain.dataset_default(a domain.actor, project bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home   data.project;
    made   bigint;
    broken text;
BEGIN
    PERFORM domain.require_project(a, $2, 2);
    SELECT d.id INTO made FROM data.dataset d WHERE d.project_id = $2 AND d.is_default AND d.deleted_at IS NULL;
    IF FOUND THEN
        RETURN domain.remember(made);
    END IF;
    SELECT p.* INTO home FROM data.project p WHERE p.id = $2 AND p.deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM domain.fail('FV404', 'project', 'Project not found');
    END IF;
    SELECT d.id INTO made FROM data.dataset d WHERE d.project_id = $2 AND d.is_default AND d.deleted_at IS NULL;
    WHILE made IS NULL LOOP
        BEGIN
            INSERT INTO data.dataset (project_id, organization_id, label_set_id, name, slug, is_default, created_by)
            VALUES ($2, home.organization_id, home.label_set_id, home.name,
                    domain.slug_free('dataset', home.organization_id, home.slug), true, (a).account_id)
            RETURNING id INTO made;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
            IF broken <> 'dataset_slug_taken' THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN domain.remember(made);
END $$;
