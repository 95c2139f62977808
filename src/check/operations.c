/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/operations.h"

#include <stdio.h>

#include "base/bytes.h"

enum { TABLE_LIMIT = 4096 }; /* bytes; struct proto, the largest, has some 500 */

enum kioku_status operations_begin(struct operations *operations, struct check_run *run,
				   const char *compared, struct kioku_error *error)
{
	const struct kioku_kernel *kernel = run->kernel;

	*operations = (struct operations){
		.run = run,
		.compared = compared,
		.pid = -1,
		.constants = { kernel_symbol(kernel, "__start_rodata"),
			       kernel_symbol(kernel, "__end_rodata") },
	};
	if (!run->code->image.start)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "where the kernel's image is is not known");
	return KIOKU_OK;
}

void operations_release(struct operations *operations)
{
	address_set_release(&operations->judged);
	address_set_release(&operations->misplaced);
}

static bool is_in_image(const struct operations *operations, uint64_t address)
{
	return code_range_has(&operations->run->code->image, address);
}

void operations_lose(const struct operations *operations, const char *what, uint64_t address,
		     enum kioku_status why)
{
	char name[OPERATIONS_SUBJECT];

	operations->name(operations->user, name);
	diagnose(&operations->run->kernel->diagnostics, KIOKU_GAP, "%s: %s at 0x%llx: %s", name,
		 what, (unsigned long long)address, kioku_status_name(why));
}

enum kioku_status operations_open(const struct operations *operations, owned_object_fn *find,
				  struct object_owners *out)
{
	struct kioku_kernel *kernel = operations->run->kernel;
	struct kioku_error why = { 0 };
	enum kioku_status status = find ? object_owners_read(kernel, find, out, &why)
					: socket_owners_read(kernel, out, &why);

	if (status == KIOKU_OK || status == KIOKU_ERROR_NO_MEMORY)
		return status;
	diagnose(&kernel->diagnostics, KIOKU_GAP, "what processes have open: %s", why.message);
	return KIOKU_OK;
}

/* --- members */

/* Those of a kernel's struct that are pointers to functions, from the one with a number on. */
static bool next_function(const struct kioku_types *types, uint32_t id, uint32_t *index,
			  struct kioku_member *out)
{
	struct btf_record pointer;

	while (kioku_type_member_at(types, id, (*index)++, out))
		if (out->bit_size == 0 && out->bit_offset % 64 == 0 &&
		    types_record(types, types_resolve(types, out->type), &pointer) &&
		    pointer.kind == KIOKU_TYPE_POINTER &&
		    kioku_type_kind(types, types_resolve(types, pointer.type)) ==
			    KIOKU_TYPE_FUNCTION_PROTOTYPE)
			return true;
	return false;
}

/* --- reporting */

static enum kioku_status report(const struct operations *operations, const char *member,
				struct check_result *result)
{
	char name[OPERATIONS_SUBJECT], subject[2 * OPERATIONS_SUBJECT];

	operations->name(operations->user, name);
	snprintf(subject, sizeof(subject), "%s: %s", name, member);
	result->pid = operations->pid;
	result->subject = subject;
	result->compared = operations->compared;
	return check_report(operations->run, result);
}

static enum kioku_status report_handler(const struct operations *operations, const char *member,
					uint64_t address, const struct handler *handler,
					enum operations_owner owner)
{
	bool is_kernels = owner == OPERATIONS_OF_KERNEL;
	bool is_note = !is_kernels && handler->owner == HANDLER_OF_FOREIGN_MODULE;
	char found[CHECK_TEXT];
	struct check_result result = {
		.severity = is_note ? CHECK_NOTE : CHECK_FINDING,
		.certainty = is_note ? CHECK_POSSIBLE : CHECK_CERTAIN,
		.address = address,
		.expected = is_kernels ? "a function of the kernel"
				       : "a function of the kernel, or of a module of its own",
		.found = found,
	};

	snprintf(found, sizeof(found), "%s%s", handler->text,
		 is_note ? ", of a module from elsewhere" : "");
	handler_doubt(handler, &result);
	return report(operations, member, &result);
}

/* What is right is not reported. *is_damaged: that is no function at all. */
static enum kioku_status judge(const struct operations *operations, const char *member,
			       uint64_t address, uint64_t function, enum operations_owner owner,
			       bool *is_damaged, bool *is_reported)
{
	struct handler handler;

	*is_reported = false;
	handler_find(operations->run, function, &handler);
	*is_damaged = handler.owner == HANDLER_OF_NOBODY &&
		      !handler_is_executable(operations->run, function);
	if (*is_damaged || handler.owner == HANDLER_OF_KERNEL ||
	    (handler.owner == HANDLER_OF_MODULE && owner != OPERATIONS_OF_KERNEL))
		return KIOKU_OK;
	*is_reported = true;
	return report_handler(operations, member, address, &handler, owner);
}

/* --- tables */

/* What was read of a table. */
struct table {
	const struct operations *operations;
	const char *type;
	uint32_t id;
	uint64_t address, size;
	uint8_t bytes[TABLE_LIMIT];
};

static enum kioku_status read_table(struct table *table)
{
	const struct kioku_types *types = table->operations->run->kernel->types;
	char name[64];

	snprintf(name, sizeof(name), "struct %s", table->type);
	if (!types || kioku_types_find(types, name, &table->id, NULL) != KIOKU_OK)
		return KIOKU_ERROR_UNSUPPORTED;
	table->size = kioku_type_size(types, table->id);
	if (table->size == 0 || table->size > TABLE_LIMIT)
		return KIOKU_ERROR_UNSUPPORTED;
	if (!kernel_is_pointer(table->operations->run->kernel, table->address))
		return KIOKU_ERROR_CORRUPT;
	return kernel_read(table->operations->run->kernel, table->address, table->bytes,
			   table->size, NULL);
}

static uint64_t function_at(const struct table *table, const struct kioku_member *member)
{
	uint64_t at = member->bit_offset / 8;

	return at + 8 <= table->size ? load_le64(table->bytes + at) : 0;
}

static enum kioku_status judge_functions(const struct table *table)
{
	const struct operations *operations = table->operations;
	enum operations_owner owner = is_in_image(operations, table->address)
					      ? OPERATIONS_OF_KERNEL
					      : OPERATIONS_OF_ANYBODY;
	struct kioku_member member;
	uint32_t index = 0;
	bool is_damaged, is_reported;
	char text[OPERATIONS_SUBJECT];

	while (next_function(operations->run->kernel->types, table->id, &index, &member)) {
		uint64_t function = function_at(table, &member);
		if (function == 0)
			continue;
		snprintf(text, sizeof(text), "%s.%s", table->type, member.name);
		TRY(judge(operations, text, table->address + member.bit_offset / 8, function, owner,
			  &is_damaged, &is_reported));
		if (is_damaged)
			operations_lose(operations, text, table->address, KIOKU_ERROR_CORRUPT);
		/* Of a module's own table one function tells as much as all of them. */
		if (is_damaged || (is_reported && owner == OPERATIONS_OF_ANYBODY))
			break;
	}
	return KIOKU_OK;
}

/* The first function of a table that is none of the kernel's. False: there is none. */
static bool find_stranger(const struct table *table, struct handler *handler,
			  struct kioku_member *member)
{
	const struct operations *operations = table->operations;
	uint32_t index = 0;

	while (next_function(operations->run->kernel->types, table->id, &index, member)) {
		uint64_t function = function_at(table, member);
		if (function == 0)
			continue;
		handler_find(operations->run, function, handler);
		if (handler->owner != HANDLER_OF_KERNEL)
			return handler->owner != HANDLER_OF_NOBODY ||
			       handler_is_executable(operations->run, function);
	}
	return false;
}

/* Whose a table's memory is, where it is not the kernel's image. */
static void describe_place(const struct operations *operations, uint64_t address, char *out,
			   size_t size)
{
	const struct modules *modules = &operations->run->code->modules;

	for (size_t i = 0; i < modules->count; i++)
		for (size_t j = 0; j < modules->list[i].part_count; j++) {
			const struct module_part *part = &modules->list[i].parts[j];
			if (address - part->base < part->size) {
				snprintf(out, size, "a table of the module %s",
					 modules->list[i].name);
				return;
			}
		}
	snprintf(out, size, "a table out of the kernel's image");
}

/* A table that should be the kernel's and lies elsewhere. */
static enum kioku_status judge_place(const struct table *table)
{
	const struct operations *operations = table->operations;
	struct kioku_member member;
	struct handler handler = { 0 };
	char place[128], found[CHECK_TEXT];
	struct check_result result = {
		.severity = CHECK_FINDING,
		.certainty = CHECK_CERTAIN,
		.address = table->address,
		.expected = "a table of the kernel's image",
		.found = found,
	};

	describe_place(operations, table->address, place, sizeof(place));
	if (find_stranger(table, &handler, &member))
		snprintf(found, sizeof(found), "%s, whose %s is %s", place, member.name,
			 handler.text);
	else {
		/* Functions of the kernel only, or none: a copy, or damage. */
		result.severity = CHECK_NOTE;
		result.certainty = CHECK_POSSIBLE;
		snprintf(found, sizeof(found), "%s, with no functions but the kernel's", place);
	}
	handler_doubt(&handler, &result);
	return report(operations, table->type, &result);
}

enum kioku_status operations_judge(struct operations *operations, const char *type,
				   uint64_t address, enum operations_owner owner)
{
	bool is_misplaced = owner == OPERATIONS_OF_KERNEL && !is_in_image(operations, address);
	struct table table = { .operations = operations, .type = type, .address = address };

	if (address == 0 || code_range_has(&operations->constants, address))
		return KIOKU_OK;
	enum address_set_result added = address_set_add(
		is_misplaced ? &operations->misplaced : &operations->judged, address);
	if (added == ADDRESS_NO_MEMORY)
		return KIOKU_ERROR_NO_MEMORY;
	if (added == ADDRESS_KNOWN)
		return KIOKU_OK;
	enum kioku_status status = read_table(&table);
	if (status != KIOKU_OK) {
		operations_lose(operations, type, address, status);
		return KIOKU_OK;
	}
	return is_misplaced ? judge_place(&table) : judge_functions(&table);
}

enum kioku_status operations_judge_function(struct operations *operations, const char *member,
					    uint64_t function, enum operations_owner owner)
{
	bool is_damaged, is_reported;

	if (function == 0)
		return KIOKU_OK;
	/* Many sockets have the same. */
	enum address_set_result added = owner == OPERATIONS_OF_ANYBODY
						? address_set_add(&operations->judged, function)
						: ADDRESS_ADDED;
	if (added == ADDRESS_NO_MEMORY)
		return KIOKU_ERROR_NO_MEMORY;
	if (added == ADDRESS_KNOWN)
		return KIOKU_OK;
	TRY(judge(operations, member, function, function, owner, &is_damaged, &is_reported));
	if (is_damaged)
		operations_lose(operations, member, function, KIOKU_ERROR_CORRUPT);
	return KIOKU_OK;
}
