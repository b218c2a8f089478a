# The migrator: from empty, again, two at once, after a kill, after changes of files. Sourced by run.sh, prints TAP
# without numbers.

copy_sql() { # a copy of sql/ that a test may change
  rm -rf "$work/sql"
  mkdir "$work/sql"
  cp -r sql/migrations sql/domain sql/dialect "$work/sql/"
}
migrate() { # migrate DATABASE [USER]: output in $work/said, faults in $work/fault
  "$apply" run "$(dsn "$1" "${2:-postgres}")" "$work/sql" > "$work/said" 2> "$work/fault"
}
state() { "$apply" check "$(dsn "$1" "${2:-postgres}")" "$work/sql" 2>&1; }
says() { # says TEXT NAME: the fault has it
  grep -qF -- "$1" "$work/fault"
  result $? "$2"
  grep -qF -- "$1" "$work/fault" || cat "$work/fault"
}
shape_of() { # of a database: everything in it, one line an object
  sql "$1" -c "SELECT 'column', table_schema, table_name, column_name, data_type, is_nullable, column_default
                 FROM information_schema.columns WHERE table_schema IN ('data', 'domain')
               UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
                 FROM pg_constraint WHERE connamespace = 'data'::regnamespace
               UNION ALL SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), '', '', '', ''
                 FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE c.relnamespace = 'data'::regnamespace
               UNION ALL SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(t.oid), '', '', '', ''
                 FROM pg_trigger t WHERE NOT tgisinternal
               UNION ALL SELECT 'function', p.oid::regprocedure::text, md5(pg_get_functiondef(p.oid)), coalesce(p.proacl::text, ''), '', '', ''
                 FROM pg_proc p WHERE pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('data', 'domain', 'automl', 'ultralytics'))
               ORDER BY 1, 2, 3, 4"
}

test_migrate() {
  local n

  copy_sql
  n=$(ls sql/migrations/*.sql | wc -l)
  sql postgres -c "CREATE DATABASE m1" -c "CREATE DATABASE m2 OWNER fovea_owner"
  [ "$(state m1)" = stale ]; result $? "an empty database is stale"
  migrate m1; result $? "everything applies to an empty database"
  [ "$(grep -c applying "$work/said")" = "$n" ]; result $? "each migration is named as it is applied"
  [ "$(state m1)" = current ]; result $? "then it is current"
  [ "$(state m1 fovea_api)" = current ]; result $? "as the API's role sees too"
  migrate m1 && [ ! -s "$work/said" ]; result $? "a second run has nothing to do"
  migrate m2 fovea_owner; result $? "the owner of a database needs no superuser when the roles exist"
  [ "$(shape_of m1)" = "$(shape_of m2)" ]; result $? "and gets the same database"
  [ "$(shape_of m1 | wc -l)" -gt 500 ]; result $? "with all there is"
  migrate m2 fovea_api; says "permission denied" "another role is refused"

  # Files that change.
  echo "CREATE FUNCTION domain.broken() RETURNS integer LANGUAGE sql AS 'SELECT 1 +';" > "$work/sql/domain/99_broken.sql"
  [ "$(state m1)" = stale ]; result $? "a new file of code makes the database stale"
  shape_of m1 > "$work/before"
  ! migrate m1; result $? "code with an error is refused"
  says "domain/99_broken.sql" "by name"
  shape_of m1 | cmp -s - "$work/before"; result $? "and nothing has changed"
  printf -- '-- one\n-- two\nSELECT 1 FROM nowhere;\n' > "$work/sql/domain/99_broken.sql"
  migrate m1; says "domain/99_broken.sql:3:" "with the line"
  echo "CREATE FUNCTION domain.added() RETURNS integer LANGUAGE sql AS 'SELECT 1';" > "$work/sql/domain/99_broken.sql"
  migrate m1 && [ "$(sql m1 -c "SET ROLE fovea_api; SELECT domain.added()")" = 1 ]; result $? "mended code is loaded, grants included"
  ! grep -q applying "$work/said"; result $? "without touching the migrations"
  rm "$work/sql/domain/99_broken.sql"
  echo "-- A dialect more." > "$work/sql/dialect/sixth.sql"
  migrate m1 && [ "$(sql m1 -c "SELECT count(*) FROM pg_namespace WHERE nspname = 'sixth'")" = 1 ]; result $? "a new dialect gets its schema"
  rm "$work/sql/dialect/sixth.sql"
  migrate m1 && shape_of m1 | cmp -s - "$work/before"; result $? "and code that is taken away is gone"

  # Migrations that change, fail, are out of order.
  echo "-- harmless" >> "$work/sql/migrations/0002_projects.sql"
  [ "$(state m1)" = stale ]; result $? "a changed migration makes the database stale"
  migrate m1; says "migrations/0002_projects.sql was applied and has changed" "and the run is refused by name"
  copy_sql
  mv "$work/sql/migrations/0003_datasets.sql" "$work/sql/migrations/0003_other.sql"
  migrate m1; says "migrations/0003_datasets.sql was applied but is not there" "so is one that vanished"
  copy_sql
  n=$(printf %04d $((n + 1)))
  printf 'CREATE TABLE data.extra (id bigint);\nSELECT 1/0;\n' > "$work/sql/migrations/${n}_extra.sql"
  migrate m1; says "migrations/${n}_extra.sql" "a migration that fails is named"
  [ -z "$(sql m1 -c "SELECT to_regclass('data.extra')")" ]; result $? "and leaves nothing behind"
  printf 'CREATE TABLE data.extra (id bigint);\nCOMMIT;\n' > "$work/sql/migrations/${n}_extra.sql"
  migrate m1; says "must not end the transaction" "one that commits by itself is refused"
  sql m1 -c "DROP TABLE IF EXISTS data.extra"
  mv "$work/sql/migrations/${n}_extra.sql" "$work/sql/migrations/9999_extra.sql"
  migrate m1; says "out of sequence" "so is a gap in the numbers"
  rm -rf "$work/sql/dialect"
  migrate m1; says "cannot open" "and a folder that lacks"
  copy_sql

  test_migrate_together
  test_migrate_killed
}

test_migrate_together() {
  local a b

  sql postgres -c "CREATE DATABASE m3"
  migrate m3 & a=$!
  "$apply" run "$(dsn m3)" "$work/sql" > "$work/said2" 2> "$work/fault2" & b=$!
  wait $a && wait $b; result $? "two runs at once both succeed"
  [ "$(cat "$work/said" "$work/said2" | grep -c applying)" = "$(ls sql/migrations/*.sql | wc -l)" ]; result $? "and each migration is applied once"
  [ "$(shape_of m3)" = "$(shape_of m2)" ]; result $? "the database is whole"
}

# A migration that sleeps is killed in the middle; then the code's transaction is.
test_migrate_killed() {
  local pid n

  sql postgres -c "CREATE DATABASE m4"
  n=$(printf %04d $(($(ls sql/migrations/*.sql | wc -l) + 1)))
  printf 'CREATE TABLE data.slow (id bigint);\nSELECT pg_sleep(20);\n' > "$work/sql/migrations/${n}_slow.sql"
  migrate m4 & pid=$!
  for _ in $(seq 100); do grep -q "${n}_slow" "$work/said" 2> /dev/null && break; sleep 0.05; done
  sleep 0.2
  kill -9 $pid; wait $pid 2> /dev/null
  sql m4 -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'm4' AND pid <> pg_backend_pid()" > /dev/null
  [ "$(sql m4 -c "SELECT count(*) FROM data.migration") $(sql m4 -c "SELECT to_regclass('data.slow')")" = "$((10#$n - 1)) " ]
  result $? "a kill in the middle of a migration leaves those before it"
  rm "$work/sql/migrations/${n}_slow.sql"
  echo "SELECT pg_sleep(20);" > "$work/sql/domain/99_slow.sql"
  migrate m4 & pid=$!
  for _ in $(seq 100); do grep -q loading "$work/said" 2> /dev/null && break; sleep 0.05; done
  sleep 0.5
  kill -9 $pid; wait $pid 2> /dev/null
  sql m4 -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'm4' AND pid <> pg_backend_pid()" > /dev/null
  [ -z "$(sql m4 -c "SELECT to_regclass('domain.project')")" ]; result $? "a kill while code is loaded leaves none of it"
  rm "$work/sql/domain/99_slow.sql"
  migrate m4 && [ "$(state m4)" = current ] && [ "$(shape_of m4)" = "$(shape_of m2)" ]; result $? "and the next run goes on to the same database"
}
