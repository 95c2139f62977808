/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Constants of the kernel: tables of operations (of files, of /proc, of sockets, of terminals) above all. They
 * are linked into the kernel, or set while it boots, when there are no modules yet: none of them leads to
 * code outside of the kernel's image.
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "check/handler.h"
#include "kernel/module_scan.h"

enum { BLOCK = 1 << 16 };

/* Modules' code is within 2 GiB of the kernel's, so that one can call the other. */
static bool may_be_code(const struct check_run *run, uint64_t value)
{
	return value >= KERNEL_MAP_START && value <= MODULES_LAST &&
	       !code_range_has(&run->code->image, value);
}

/* What has a check of its own, and where areas for code begin: mm/execmem.c, v6.10. */
static bool is_exempt(const char *symbol)
{
	static const char *const symbols[] = { "sys_call_table", "ia32_sys_call_table",
					       "x32_sys_call_table", "execmem_info" };

	for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++)
		if (strcmp(symbol, symbols[i]) == 0)
			return true;
	return false;
}

/* The beginning of an area may be no more than that. */
static bool may_be_area(const struct handler *handler, uint64_t value)
{
	return handler->owner == HANDLER_OF_NOBODY && value % PAGE_SIZE == 0;
}

static enum kioku_status look_at(struct check_run *run, uint64_t address, uint64_t value)
{
	struct kioku_symbol symbol = { 0 };
	struct handler handler;
	char subject[CHECK_TEXT];
	struct check_result result = {
		.severity = CHECK_FINDING,
		.certainty = CHECK_CERTAIN,
		.pid = -1,
		.subject = subject,
		.address = address,
		.compared = "pointers to code in the kernel's constants with the kernel's image",
		.expected = "code of the kernel's image",
		.found = handler.text,
	};

	if (!handler_is_executable(run, value) ||
	    !symbols_nearest(run->kernel->symbols, address, &symbol))
		return KIOKU_OK;
	if (is_exempt(symbol.name))
		return KIOKU_OK;
	snprintf(subject, sizeof(subject), "%s+0x%llx", symbol.name,
		 (unsigned long long)(address - symbol.address));
	handler_find(run, value, &handler);
	if (may_be_area(&handler, value)) {
		result.severity = CHECK_NOTE;
		result.certainty = CHECK_POSSIBLE;
	}
	handler_doubt(&handler, &result);
	return check_report(run, &result);
}

static enum kioku_status look_at_block(struct check_run *run, uint64_t start, uint64_t size)
{
	uint8_t block[BLOCK];
	struct kioku_error why = { 0 };

	if (kernel_read(run->kernel, start, block, size, &why) != KIOKU_OK) {
		diagnose(&run->kernel->diagnostics, KIOKU_GAP,
			 "constants of the kernel at 0x%llx: %s", (unsigned long long)start,
			 why.message);
		return KIOKU_OK;
	}
	for (uint64_t at = 0; at + 8 <= size; at += 8)
		if (may_be_code(run, load_le64(block + at)))
			TRY(look_at(run, start + at, load_le64(block + at)));
	return KIOKU_OK;
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	const struct code_range *image = &run->code->image;
	uint64_t start = kernel_symbol(run->kernel, "__start_rodata");
	uint64_t end = kernel_symbol(run->kernel, "__end_rodata");

	if (!image->start || start < image->start || end > image->end || start > end)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "where the kernel's constants are is not known");
	for (uint64_t at = start; at < end; at += BLOCK)
		TRY(look_at_block(run, at, end - at < BLOCK ? end - at : BLOCK));
	return KIOKU_OK;
}

const struct check constant_data_check = {
	.name = "constant_data",
	.help = "constants of the kernel, such as file operations, that lead out of its code",
	.run = run_check,
};
