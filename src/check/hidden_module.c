/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Modules that hide: one that is live is in all of the kernel's ways to its modules at once, from load_module()
 * to free_module() (kernel/module/main.c).
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "check/module_sightings.h"
#include "check/unowned_code.h"

/* As list_del() leaves it, or list_del_init(). */
static bool is_unlinked(const struct kioku_kernel *kernel, const struct module *module)
{
	return !kernel_is_pointer(kernel, module->list_next) ||
	       module->list_next == module->list_previous;
}

static bool is_live(const struct kioku_kernel *kernel, const struct module *module)
{
	const char *state = module_state(kernel, module);

	return state && strcmp(state, "Live") == 0;
}

/* Why it may be harmless that ways are missing; NULL: nothing is known that would be. */
static const char *doubt(const struct module_sightings *sightings,
			 const struct module_sighting *sighting, unsigned missing)
{
	const struct kioku_kernel *kernel = sightings->kernel;

	if (!is_live(kernel, &sighting->module))
		return "it may be being loaded or unloaded";
	if (sightings->damaged & missing)
		return "these are damaged, or could not be read";
	if (source_may_be_torn(kernel->source) &&
	    !(missing >> MODULE_VIEW_LIST & 1 && is_unlinked(kernel, &sighting->module)))
		return "it may have been loaded or unloaded while memory was copied";
	return NULL;
}

static enum kioku_status look_at(struct check_run *run, const struct module_sightings *sightings,
				 const struct module_sighting *sighting)
{
	unsigned all = sightings->asked & ~(1u << MODULE_VIEW_CARVED);
	unsigned missing = all & ~sighting->views;

	/* While it is loaded or unloaded, some lead to it already, or still. */
	if (!missing || (!is_live(run->kernel, &sighting->module) && missing != all))
		return KIOKU_OK;
	const struct disagreement disagreement = {
		.thing = "the module",
		.norm = "what is loaded",
		.found = sighting->views,
		.missing = missing,
		.expected = all,
		.was_carved = sighting->views == 1 << MODULE_VIEW_CARVED,
		.doubt = doubt(sightings, sighting, missing),
		.about = { .pid = -1,
			   .subject = sighting->module.name,
			   .address = sighting->module.address,
			   .compared = "the kernel's ways to its modules with each other and with "
				       "structures in memory" },
	};
	return ways_report(run, &module_ways, &disagreement);
}

/*
 * No more than a note: what is freed later than its module says so is mapped still, and before v5.18 filters of
 * sockets, to which no symbol leads, have pages of their own. These begin with their number (struct
 * bpf_binary_header, include/linux/filter.h), and what is left of them is filled with INT3.
 */
static bool is_like_filter(struct kioku_kernel *kernel, uint64_t start, uint64_t pages)
{
	uint8_t header[8];

	return kernel_read(kernel, start, header, sizeof(header), NULL) == KIOKU_OK &&
	       load_le32(header) == pages && load_le32(header + 4) == 0xcccccccc;
}

static enum kioku_status report_code(void *user, uint64_t start, uint64_t pages)
{
	struct check_run *run = user;
	char found[CHECK_TEXT];
	const struct check_result result = {
		.severity = CHECK_NOTE,
		.certainty = CHECK_POSSIBLE,
		.pid = -1,
		.address = start,
		.compared = "executable pages where modules are with what has loaded code",
		.expected = "code of a module, a BPF program, a trampoline or a probe",
		.found = found,
	};

	snprintf(found, sizeof(found),
		 "code that nothing known has loaded, %llu page%s from 0x%llx on%s",
		 (unsigned long long)pages, pages == 1 ? "" : "s", (unsigned long long)start,
		 is_like_filter(run->kernel, start, pages) ? "; it looks like a filter of a socket"
							   : "");
	return check_report(run, &result);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	AUTO_MODULE_SIGHTINGS struct module_sightings sightings = { 0 };

	TRY(module_sightings_read(run->kernel, &sightings, error));
	for (size_t i = 0; i < sightings.count; i++)
		TRY(look_at(run, &sightings, &sightings.found[i]));
	return unowned_code_each(&sightings, report_code, run);
}

static const struct record *const records[] = { &module_record, NULL };

const struct check hidden_module_check = {
	.name = "hidden_module",
	.help = "modules that some of the kernel's ways lead to, and others do not, and code of "
		"nobody",
	.records = records,
	.run = run_check,
};
