#!/usr/bin/awk -f
# The functions that sql/README.md promises, one a line: name, arguments, result. In its tables such a row is
#   | `name(a, x bigint)` | `SETOF domain.thing` | notes |
/^\| `[a-z_]+\(.*\)` \| `/ {
    split($0, part, "`")
    name = part[2]; sub(/\(.*/, "", name)
    list = part[2]; sub(/^[a-z_]+\(/, "", list); sub(/\)$/, "", list)
    sub(/^a(,|$)/, "a domain.actor&", list); sub(/actora/, "actor", list)
    print name "\t" list "\t" part[4]
}
