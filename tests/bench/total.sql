SELECT t.n FROM domain.project_total(ROW(0, :organization, 0, 64, true)::domain.actor) AS t(n);
