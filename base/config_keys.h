/* The table of settings, for config.c alone: everyone else reads values through config.h. */
#ifndef BASE_CONFIG_KEYS_H
#define BASE_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_kind {
    CONFIG_TEXT,
    CONFIG_PATH,
    CONFIG_URL,
    CONFIG_ENUM,
    CONFIG_BOOL,
    CONFIG_INT,
    CONFIG_BYTES
};

struct config_key {
    const char *name;
    enum config_kind kind;
    const char *fallback; /* the default; "${key}/rest" stands for the value of an earlier key */
    int64_t min, max;     /* CONFIG_INT, CONFIG_BYTES */
    const char *one_of;   /* CONFIG_ENUM: "a|b|c" */
    bool secret;
    const char *alias; /* another name in the environment, or NULL */
    const char *help;
};

extern const struct config_key config_keys[];
extern const size_t config_nkeys;

#endif
