# Blanks secrets in log lines. nginx prints whole request lines into its error log and no setting stops it, so
# every service's output passes through here before it reaches a disk.

# Query strings, as a whole: api_key=, sig=, tokens of other products, percent-encoded names.
s/\?[^" ]*=[^" ]*/?(hidden)/g
# Parameters that lost their question mark.
s/(api_key|sig|token|access_token|password|secret)=[^&" ]*/\1=(hidden)/Ig
# Headers and credentials.
s/(authorization|cookie|x-api-key)("?: *"?)[^",]*/\1\2(hidden)/Ig
s/(bearer|token|basic) +[A-Za-z0-9._~+\/=-]{8,}/\1 (hidden)/Ig
# Keys by their form: ours with a prefix, and the bare 40 digits that CVAT clients send.
s/(ul_|cpx_)[A-Za-z0-9._-]{4,}/\1(hidden)/g
s/(^|[^0-9A-Fa-f])[0-9A-Fa-f]{40}([^0-9A-Fa-f]|$)/\1(hidden)\2/g
