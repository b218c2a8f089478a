/* Every setting of Fovea: the one place that names them. See config.h for how values are found. */
#include "base/config_keys.h"

#include "base/limits.h"

#define DAY_S 86400

/* clang-format off */
#define TEXT(name, fallback, help) \
    { name, CONFIG_TEXT, fallback, 0, 0, NULL, false, NULL, help }
#define SECRET(name, fallback, help) \
    { name, CONFIG_TEXT, fallback, 0, 0, NULL, true, NULL, help }
#define PATH(name, fallback, help) \
    { name, CONFIG_PATH, fallback, 0, 0, NULL, false, NULL, help }
#define URL(name, fallback, help) \
    { name, CONFIG_URL, fallback, 0, 0, NULL, false, NULL, help }
#define ENUM(name, fallback, words, help) \
    { name, CONFIG_ENUM, fallback, 0, 0, words, false, NULL, help }
#define BOOL(name, fallback, help) \
    { name, CONFIG_BOOL, fallback, 0, 1, NULL, false, NULL, help }
#define INT(name, fallback, min, max, help) \
    { name, CONFIG_INT, fallback, min, max, NULL, false, NULL, help }
#define BYTES(name, fallback, max, help) \
    { name, CONFIG_BYTES, fallback, 1, max, NULL, false, NULL, help }

const struct config_key config_keys[] = {
    /* where it listens and what it calls itself */
    TEXT("bind", "127.0.0.1", "address that nginx listens on"),
    INT("http.port", "8080", 0, 65535, "port of plain HTTP for local clients; 0 = off"),
    INT("https.port", "8443", 1, 65535, "port of HTTPS"),
    INT("metrics.port", "9464", 0, 65535, "port of the listener of metrics and health; 0 = off"),
    INT("upload.port", "8090", 0, 65535, "port of the listener of raw uploads; 0 = off"),
    URL("public_url", "", "scheme and host of absolute URLs when the Host header is not trusted; "
        "empty = https on bind and https.port"),
    TEXT("trusted_hosts", "", "Host headers that absolute URLs may repeat, separated by commas"),
    TEXT("default_dialect", "ultralytics",
         "the API that a request means when nothing in it says otherwise"),
    TEXT("region", "us", "name of this site in answers that state a region"),
    TEXT("key_prefix", "ul_", "how new API keys begin, unless asked otherwise"),
    ENUM("ultralytics.error_style", "object", "object|string",
         "error bodies of the Ultralytics API: {\"error\": {...}}, or {\"error\": \"text\"} as older clients expect"),

    /* folders and files */
    { "var_dir", CONFIG_PATH, "/var/lib/fovea", 0, 0, NULL, false, "FOVEA_VAR",
         "folder of everything that must be kept" },
    PATH("run_dir", "/run/fovea", "folder of sockets and process files"),
    PATH("media_dir", "${var_dir}/media", "root of the content-addressed store"),
    PATH("spool_dir", "${media_dir}/spool",
         "where nginx spools request bodies; on the file system of media_dir"),
    PATH("sql_dir", "/usr/share/fovea/sql", "folder of migrations and SQL functions"),
    PATH("secrets.signing_file", "${var_dir}/secrets/signing",
         "secrets that sign URLs; made when absent"),
    PATH("limits.file", "${var_dir}/limits.shm",
         "shared memory of the rate limiter; kept, so that limits survive a restart"),

    /* database */
    SECRET("database.dsn", "dbname=fovea user=fovea_api",
         "libpq connection string of the role that answers requests"),
    SECRET("database.owner_dsn", "dbname=fovea user=fovea_owner",
           "libpq connection string of the owner of the schema: migrations, worker, administration"),

    /* processes */
    INT("api.processes", "2", 1, 256, "processes that answer metadata requests"),
    INT("api.threads", "0", 0, 256,
         "threads, and database connections, of each; 0 = by the number of cores"),
    INT("slow.threads", "32", 1, 256,
         "threads for uploads and exports; exports have half of them, one account an eighth"),
    INT("predict.threads", "0", 0, 1024, "threads that predict; 0 = by the number of cores"),
    INT("predict.queue", "32", 1, 10000, "predictions that may wait; beyond it the answer is 503"),
    INT("predict.deadline_s", "10", 1, 600,
         "seconds that a prediction waits for a free thread, then 503; a run thrice as long is taken for hung"),
    BYTES("predict.memory", "2G", (int64_t)1 << 40, "compiled models that are kept, those in use aside"),
    BYTES("predict.picture_memory", "1G", (int64_t)1 << 40,
          "decoded pictures at one time; further ones wait, then 503"),
    INT("worker.poll_s", "5", 1, 3600, "seconds between looks into the queue when no wake-up arrives"),
    INT("worker.lease_s", "60", 5, 3600,
         "seconds after which a job of a silent worker is given to another"),

    /* sizes */
    BYTES("predict.max_bytes", "10M", LIMIT_IMAGE_BYTES, "largest picture of a prediction"),
    BYTES("model.max_bytes", "1G", LIMIT_MODEL_BYTES, "largest model file"),
    BYTES("upload.max_bytes", "10G", (int64_t)1 << 40, "largest upload of any other kind"),

    /* times */
    INT("ttl.weights_s", "3600", 60, 7 * DAY_S, "seconds that a signed link to model weights is valid"),
    INT("ttl.image_s", "604800", 60, 365 * DAY_S, "seconds that a signed link to a picture is valid"),
    INT("idempotency.hours", "24", 1, 720, "hours that an Idempotency-Key is remembered"),
    INT("trash.days", "30", 1, 3650, "days until what is in the trash is removed for good"),

    /* plans: requests of an account, over the plan's row in the database */
    INT("limits.free.per_minute", "-1", -1, 1000000,
         "plan free: -1 = as the database says, 0 = no limit"),
    INT("limits.free.per_day", "-1", -1, 1000000000,
         "plan free: -1 = as the database says, 0 = no limit"),
    INT("limits.pro.per_minute", "-1", -1, 1000000, "plan pro: -1 = as the database says, 0 = no limit"),
    INT("limits.pro.per_day", "-1", -1, 1000000000, "plan pro: -1 = as the database says, 0 = no limit"),
    INT("limits.enterprise.per_minute", "-1", -1, 1000000,
         "plan enterprise: -1 = as the database says, 0 = no limit"),
    INT("limits.enterprise.per_day", "-1", -1, 1000000000,
         "plan enterprise: -1 = as the database says, 0 = no limit"),

    /* outbound, log */
    TEXT("outbound.allow", "",
         "private networks that outbound requests may reach, as 10.1.0.0/16, separated by commas"),
    ENUM("log.level", "info", "debug|info|warning|error", "least important lines that are logged"),
    BOOL("log.json", "false", "log JSON lines instead of text"),
};
/* clang-format on */

const size_t config_nkeys = sizeof config_keys / sizeof *config_keys;
