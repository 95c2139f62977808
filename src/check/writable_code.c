/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of the kernel that can be written to and executed at once. A kernel with CONFIG_STRICT_KERNEL_RWX has none
 * once it has booted, and looks itself (ptdump_walk_pgd_level_checkwx(), arch/x86/mm/dump_pagetables.c), but for
 * trampolines of BPF before v5.18, which it keeps writable (bpf_jit_alloc_exec_page(), kernel/bpf/trampoline.c).
 */
#include <stdio.h>

#include "check/handler.h"
#include "check/made_code.h"

#define KERNEL_FIRST 0xff00000000000000ull /* of the kernel's half, with 5 levels of page tables */

/* The firmware's, which is mapped as it asks: EFI_VA_END, EFI_VA_START, arch/x86/include/asm/efi.h. */
#define FIRMWARE_FIRST 0xffffffef00000000ull
#define FIRMWARE_LAST  0xfffffffeffffffffull

enum { RUN_LIMIT = 64 }; /* runs of pages that are told of one by one */

struct search {
	struct check_run *run;
	struct made_code made;
	bool is_strict;      /* the kernel's own code is protected */
	uint64_t start, end; /* of the run that is being walked */
	uint64_t runs, more; /* more: pages of runs that are not told of */
};

static void search_release(struct search *search)
{
	made_code_release(&search->made);
}

static bool has_made(const struct search *search)
{
	return made_code_begins_in(&search->made, search->start, search->end);
}

static enum kioku_status end_run(struct search *search)
{
	bool is_note = has_made(search) || search->made.is_damaged || !search->is_strict;
	uint64_t pages = (search->end - search->start) / PAGE_SIZE;
	bool is_kernels = code_range_has(&search->run->code->image, search->start);
	const struct module *module = modules_at(&search->run->code->modules, search->start);
	char found[CHECK_TEXT];
	const struct check_result result = {
		.severity = is_note ? CHECK_NOTE : CHECK_FINDING,
		.certainty = is_note ? CHECK_POSSIBLE : CHECK_CERTAIN,
		.pid = -1,
		.subject = is_kernels ? "the kernel's image"
			   : module   ? module->name
				      : NULL,
		.address = search->start,
		.compared =
			"what the kernel's page tables permit with what a protected kernel permits",
		.expected = "no memory that can be written to and executed",
		.found = found,
	};

	if (pages == 0)
		return KIOKU_OK;
	if (search->runs++ >= RUN_LIMIT) {
		search->more += pages;
		return KIOKU_OK;
	}
	snprintf(found, sizeof(found),
		 "%llu page%s from 0x%llx on can be written to and executed%s",
		 (unsigned long long)pages, pages == 1 ? "" : "s",
		 (unsigned long long)search->start,
		 !search->is_strict        ? "; this kernel does not protect its own code either"
		 : has_made(search)        ? "; the kernel made code there"
		 : search->made.is_damaged ? "; what code the kernel made is not all known"
					   : "");
	return check_report(search->run, &result);
}

static enum kioku_status take_mapping(void *user, const struct mapping *mapping)
{
	const uint32_t both = KIOKU_PERMISSION_WRITE | KIOKU_PERMISSION_EXECUTE;
	struct search *search = user;

	if ((mapping->permissions & both) != both ||
	    (mapping->virtual >= FIRMWARE_FIRST && mapping->virtual <= FIRMWARE_LAST))
		return KIOKU_OK;
	if (mapping->virtual != search->end) {
		TRY(end_run(search));
		search->start = mapping->virtual;
	}
	search->end = mapping->virtual + mapping->size;
	return KIOKU_OK;
}

/* Whether most of the kernel's code cannot be written to. */
static bool is_strict(const struct check_run *run)
{
	enum { SAMPLES = 32 };
	const struct code_range *text = &run->code->text;
	unsigned writable = 0;

	for (unsigned i = 0; i < SAMPLES; i++) {
		struct kioku_translation translation;
		uint64_t at = text->start + (text->end - text->start) / SAMPLES * i;
		writable += kioku_translate(kioku_kernel_space(run->kernel), at, &translation,
					    NULL) == KIOKU_OK &&
			    translation.permissions & KIOKU_PERMISSION_WRITE;
	}
	return writable < SAMPLES / 2;
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	const struct kioku_kernel *kernel = run->kernel;
	CLEANUP(search_release)
	struct search search = { .run = run };
	struct address_walk walk = {
		.first = KERNEL_FIRST, .last = UINT64_MAX, .receive = take_mapping, .user = &search
	};

	if (run->code->text.start == 0)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "where the kernel's code is is not known");
	search.is_strict = is_strict(run);
	TRY(made_code_find(&search.made, run->kernel));
	TRY(address_space_walk(&run->kernel->space, &walk));
	TRY(end_run(&search));
	if (walk.losses.tables || walk.losses.repeated)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "%llu page tables of the kernel could not be read",
			 (unsigned long long)(walk.losses.tables + walk.losses.repeated));
	if (search.more)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "%llu more pages can be written to and executed, which are not listed",
			 (unsigned long long)search.more);
	return KIOKU_OK;
}

const struct check writable_code_check = {
	.name = "writable_code",
	.help = "memory of the kernel that can be written to and executed at once",
	.run = run_check,
};
