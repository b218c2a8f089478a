SRC_handlers := $(sort $(wildcard handlers/*.c handlers/*/*.c))

# The schemas of answers are part of the program: it reads no documents when it runs.
$(B)/handlers/schemas.inc: tools/schemas_to_c $(wildcard docs/api/schemas/*/*.json)
	@mkdir -p $(@D)
	@tools/schemas_to_c > $@.new && mv $@.new $@
$(B)/handlers/schemas.o: $(B)/handlers/schemas.inc
