/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who sees what is typed: drivers of terminals and line disciplines (include/linux/tty_driver.h, tty_ldisc.h), handlers
 * of input (include/linux/input.h), and the keys of sysrq (include/linux/sysrq.h), 4.18 to 7.0. Who is told of keys is
 * another check's (notifiers).
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "check/operations.h"
#include "kernel/file_table.h"
#include "kernel/list.h"

enum {
	TERMINAL_LIMIT =
		1 << 16, /* of a driver: NR_UNIX98_PTY_MAX is 2^20, but these are not in a table */
	ENTRY_LIMIT = 256, /* of the tables of disciplines and keys, which have 30 and 62 */
	NAME_ROOM = 64,
};

struct looking {
	struct operations operations;
	char name[OPERATIONS_SUBJECT];
	struct address_set drivers, terminals; /* drivers: that are in the list */
};

static void looking_release(struct looking *looking)
{
	operations_release(&looking->operations);
	address_set_release(&looking->drivers);
	address_set_release(&looking->terminals);
}

static void name_thing(void *user, char out[OPERATIONS_SUBJECT])
{
	const struct looking *looking = user;

	snprintf(out, OPERATIONS_SUBJECT, "%s", looking->name);
}

static struct kioku_kernel *kernel_of(const struct looking *looking)
{
	return looking->operations.run->kernel;
}

static void read_text(const struct looking *looking, uint64_t text, char out[NAME_ROOM])
{
	size_t size;

	if (kernel_read_string(kernel_of(looking), text, out, NAME_ROOM, &size) != KIOKU_OK)
		snprintf(out, NAME_ROOM, "?");
}

/* Pointers at a symbol, up to the next one. Returns how many; 0: there is no such table. */
static size_t read_table(const struct looking *looking, const char *symbol,
			 uint64_t out[ENTRY_LIMIT], uint64_t *address)
{
	struct kioku_kernel *kernel = kernel_of(looking);
	uint8_t raw[ENTRY_LIMIT * 8];

	*address = kernel_symbol(kernel, symbol);
	if (*address == 0)
		return 0;
	uint64_t size = symbols_room(kernel->symbols, *address);
	size_t count = size / 8 < ENTRY_LIMIT ? (size_t)(size / 8) : ENTRY_LIMIT;
	struct kioku_error why = { 0 };
	if (kernel_read(kernel, *address, raw, count * 8, &why) != KIOKU_OK) {
		diagnose(&kernel->diagnostics, KIOKU_GAP, "%s: %s", symbol, why.message);
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		out[i] = load_le64(raw + 8 * i);
	return count;
}

/* --- line disciplines */

/* Discipline 0, N_TTY, is the kernel's own, which all terminals begin with. */
static enum kioku_status look_at_disciplines(struct looking *looking)
{
	uint64_t entries[ENTRY_LIMIT], table;
	size_t count = read_table(looking, "tty_ldiscs", entries, &table);

	if (table == 0)
		diagnose(&kernel_of(looking)->diagnostics, KIOKU_GAP,
			 "line disciplines: no symbol tty_ldiscs");
	for (size_t i = 0; i < count; i++) {
		snprintf(looking->name, sizeof(looking->name), "line discipline %zu", i);
		TRY(operations_judge(&looking->operations, "tty_ldisc_ops", entries[i],
				     i == 0 ? OPERATIONS_OF_KERNEL : OPERATIONS_OF_ANYBODY));
	}
	return KIOKU_OK;
}

/* --- terminals */

struct terminal {
	uint64_t driver, operations, discipline;
	char name[NAME_ROOM];
};

static const struct member terminal_members[] = {
	MEMBER(struct terminal, driver, "driver"),
	MEMBER(struct terminal, operations, "ops"),
	MEMBER(struct terminal, discipline, "ldisc"),
	MEMBER(struct terminal, name, "name"),
};
static const struct record terminal_record =
	RECORD(struct terminal, "tty_struct", terminal_members);

struct discipline {
	uint64_t operations, terminal;
};

static const struct member discipline_members[] = {
	MEMBER(struct discipline, operations, "ops"),
	MEMBER(struct discipline, terminal, "tty"),
};
static const struct record discipline_record =
	RECORD(struct discipline, "tty_ldisc", discipline_members);

struct driver {
	uint64_t next, name, operations, terminals, owner;
	uint32_t count;
};

static const struct member driver_members[] = {
	MEMBER(struct driver, next, "tty_drivers.next"), MEMBER(struct driver, name, "name"),
	MEMBER(struct driver, operations, "ops"),        MEMBER(struct driver, terminals, "ttys"),
	MEMBER(struct driver, owner, "owner"),           MEMBER(struct driver, count, "num"),
};
static const struct record driver_record = RECORD(struct driver, "tty_driver", driver_members);

/* Of a driver that is built in, no module gives the operations. */
static enum operations_owner owner_of(const struct driver *driver)
{
	return driver->owner ? OPERATIONS_OF_ANYBODY : OPERATIONS_OF_KERNEL;
}

static enum kioku_status look_at_terminal(struct looking *looking, uint64_t address,
					  const char *name)
{
	struct operations *operations = &looking->operations;
	struct kioku_kernel *kernel = kernel_of(looking);
	struct discipline discipline;
	struct terminal terminal;
	struct driver driver;

	switch (address_set_add(&looking->terminals, address)) {
	case ADDRESS_NO_MEMORY: return KIOKU_ERROR_NO_MEMORY;
	case ADDRESS_KNOWN: return KIOKU_OK;
	case ADDRESS_ADDED: break;
	}
	snprintf(looking->name, sizeof(looking->name), "%s", name);
	enum kioku_status status = record_read_at(kernel, &terminal_record, address, &terminal);
	if (status == KIOKU_OK && !address_set_has(&looking->drivers, terminal.driver))
		status = KIOKU_ERROR_CORRUPT;
	if (status == KIOKU_OK)
		status = record_read_at(kernel, &driver_record, terminal.driver, &driver);
	if (status != KIOKU_OK) {
		operations_lose(operations, "tty_struct", address, status);
		return KIOKU_OK;
	}
	snprintf(looking->name, sizeof(looking->name), "terminal %.*s", NAME_ROOM, terminal.name);
	TRY(operations_judge(operations, "tty_operations", terminal.operations, owner_of(&driver)));
	if (terminal.discipline == 0)
		return KIOKU_OK;
	status = record_read_at(kernel, &discipline_record, terminal.discipline, &discipline);
	if (status == KIOKU_OK && discipline.terminal != address)
		status = KIOKU_ERROR_CORRUPT;
	if (status != KIOKU_OK) {
		operations_lose(operations, "tty_ldisc", terminal.discipline, status);
		return KIOKU_OK;
	}
	return operations_judge(operations, "tty_ldisc_ops", discipline.operations,
				OPERATIONS_OF_ANYBODY);
}

static enum kioku_status look_at_driver(struct looking *looking, const struct driver *driver)
{
	struct kioku_kernel *kernel = kernel_of(looking);
	char name[NAME_ROOM], title[NAME_ROOM + 16];

	read_text(looking, driver->name, name);
	snprintf(title, sizeof(title), "terminals %s", name);
	snprintf(looking->name, sizeof(looking->name), "%s", title);
	TRY(operations_judge(&looking->operations, "tty_operations", driver->operations,
			     owner_of(driver)));
	/* Those of pseudo terminals are in no table. */
	if (driver->terminals == 0)
		return KIOKU_OK;
	for (uint32_t i = 0; i < driver->count; i++) {
		uint64_t terminal;
		enum kioku_status status =
			i < TERMINAL_LIMIT ? address_read_u64(&kernel->space,
							      driver->terminals + 8 * (uint64_t)i,
							      &terminal, NULL)
					   : KIOKU_ERROR_LIMIT;
		snprintf(looking->name, sizeof(looking->name), "%s", title);
		if (status != KIOKU_OK) {
			operations_lose(&looking->operations, "table of terminals",
					driver->terminals, status);
			return KIOKU_OK;
		}
		if (terminal)
			TRY(look_at_terminal(looking, terminal, title));
	}
	return KIOKU_OK;
}

static enum kioku_status look_at_drivers(struct looking *looking)
{
	struct kioku_kernel *kernel = kernel_of(looking);
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	uint64_t head = kernel_symbol(kernel, "tty_drivers"), node;
	const struct binding *binding;

	if (!head) {
		diagnose(&kernel->diagnostics, KIOKU_GAP, "drivers of terminals: no symbol");
		return KIOKU_OK;
	}
	TRY(record_bind(kernel, &driver_record, &binding, NULL));
	list_begin(&walk, kernel, head, "drivers of terminals");
	while (list_next(&walk, &node)) {
		uint64_t address = node - BINDING_OFFSET(binding, struct driver, next);
		struct driver driver;
		enum kioku_status status = record_read(kernel, binding, address, &driver, NULL);
		if (status != KIOKU_OK) {
			list_reject(&walk, kioku_status_name(status));
			continue;
		}
		if (address_set_add(&looking->drivers, address) == ADDRESS_NO_MEMORY)
			return KIOKU_ERROR_NO_MEMORY;
		TRY(look_at_driver(looking, &driver));
	}
	return KIOKU_OK;
}

/* --- terminals that are open, which pseudo terminals are in no other way */

struct private
{
	uint64_t terminal, file;
};

static const struct member private_members[] = {
	MEMBER(struct private, terminal, "tty"),
	MEMBER(struct private, file, "file"),
};
static const struct record private_record =
	RECORD(struct private, "tty_file_private", private_members);

static enum kioku_status find_terminal(struct kioku_kernel *kernel, uint64_t address,
				       uint64_t *terminal)
{
	static const char *const operations[] = { "tty_fops", "console_fops", "ptmx_fops", NULL };
	struct private private;
	uint64_t object;

	*terminal = 0;
	TRY(file_object(kernel, address, operations, &object));
	/* One without any is no terminal, or it is about to be opened, or hung up. */
	if (object == 0)
		return KIOKU_OK;
	TRY(record_read_at(kernel, &private_record, object, &private));
	if (private.file != address)
		return KIOKU_ERROR_CORRUPT;
	*terminal = private.terminal;
	return KIOKU_OK;
}

static enum kioku_status look_at_open(struct looking *looking)
{
	AUTO_OBJECT_OWNERS struct object_owners owners = { 0 };

	TRY(operations_open(&looking->operations, find_terminal, &owners));
	for (size_t i = 0; i < owners.count; i++) {
		looking->operations.pid = owners.owners[i].pid;
		TRY(look_at_terminal(looking, owners.owners[i].object, "a terminal"));
	}
	looking->operations.pid = -1;
	return KIOKU_OK;
}

/* --- input */

struct input {
	uint64_t next, name;
};

static const struct member input_members[] = {
	MEMBER(struct input, next, "node.next"),
	MEMBER(struct input, name, "name"),
};
static const struct record input_record = RECORD(struct input, "input_handler", input_members);

static enum kioku_status look_at_input(struct looking *looking)
{
	struct kioku_kernel *kernel = kernel_of(looking);
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	uint64_t head = kernel_symbol(kernel, "input_handler_list"), node;
	const struct binding *binding;
	char name[NAME_ROOM];

	/* Input may be a module. */
	if (!head || record_bind(kernel, &input_record, &binding, NULL) != KIOKU_OK)
		return KIOKU_OK;
	list_begin(&walk, kernel, head, "handlers of input");
	while (list_next(&walk, &node)) {
		uint64_t address = node - BINDING_OFFSET(binding, struct input, next);
		struct input input;
		enum kioku_status status = record_read(kernel, binding, address, &input, NULL);
		if (status != KIOKU_OK) {
			list_reject(&walk, kioku_status_name(status));
			continue;
		}
		read_text(looking, input.name, name);
		snprintf(looking->name, sizeof(looking->name), "input handler %s", name);
		TRY(operations_judge(&looking->operations, "input_handler", address,
				     OPERATIONS_OF_ANYBODY));
	}
	return KIOKU_OK;
}

/* --- keys of sysrq: 0 to 9, a to z, and with A to Z since v6.2 */

static enum kioku_status look_at_keys(struct looking *looking)
{
	uint64_t entries[ENTRY_LIMIT], table;
	size_t count = read_table(looking, "sysrq_key_table", entries, &table);

	for (size_t i = 0; i < count; i++) {
		char key = (char)(i < 10 ? '0' + i : i < 36 ? 'a' + (i - 10) : 'A' + (i - 36));
		if (i >= 62)
			break;
		snprintf(looking->name, sizeof(looking->name), "sysrq key %c", key);
		TRY(operations_judge(&looking->operations, "sysrq_key_op", entries[i],
				     OPERATIONS_OF_ANYBODY));
	}
	return KIOKU_OK;
}

static const struct record *const records[] = {
	&terminal_record, &discipline_record, &driver_record, &private_record, NULL,
};

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	CLEANUP(looking_release) struct looking looking = { 0 };

	TRY(operations_begin(&looking.operations, run,
			     "operations of terminals and of input with the code of the kernel and "
			     "modules",
			     error));
	looking.operations.name = name_thing;
	looking.operations.user = &looking;
	TRY(look_at_disciplines(&looking));
	TRY(look_at_drivers(&looking));
	TRY(look_at_open(&looking));
	TRY(look_at_input(&looking));
	return look_at_keys(&looking);
}

const struct check terminals_check = {
	.name = "terminals",
	.help = "what is called for terminals, line disciplines, input and the keys of sysrq",
	.records = records,
	.run = run_check,
};
