# The program that tests/sql/run.sh applies sql/ with.
$(B)/sql_apply: tests/sql/apply.c $(call lib,domain base)
	@mkdir -p $(@D)
	@echo "  TEST  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(call lib,domain base) -Wl,--end-group $(LDLIBS)

test-sql: $(B)/sql_apply
