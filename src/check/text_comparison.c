/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "check/cached_kernel.h"
#include "check/patch_sites.h"
#include "check/text_comparison.h"

enum {
	SHOWN = 16, /* bytes of a difference that are shown */
	NAME_ROOM = 256,
};

struct comparison {
	struct check_run *run;
	struct patch_sites sites;
	struct kernel_file file;
	uint8_t *memory;
	uint64_t start, end; /* as the file is linked */
	uint64_t lost;       /* bytes that are not in the image */
};

static void comparison_release(struct comparison *comparison)
{
	patch_sites_release(&comparison->sites);
	kernel_file_close(&comparison->file);
	free(comparison->memory);
}

/* --- whether the file is of this kernel */

static bool is_same_build(const struct comparison *comparison)
{
	const struct kioku_kernel *kernel = comparison->run->kernel;
	struct bytes id = comparison->file.build_id;

	return kernel->build_id_size > 0 && id.size == kernel->build_id_size &&
	       memcmp(id.data, kernel->build_id, id.size) == 0;
}

/* Without build ids, the banner tells: the number of the build and its time are in it. */
static bool has_same_banner(const struct comparison *comparison)
{
	const struct kioku_kernel *kernel = comparison->run->kernel;
	size_t length = kernel->banner ? strlen(kernel->banner) : 0;
	const uint8_t *banner = kernel_file_at(
		&comparison->file, kernel->banner_virtual - comparison->sites.slide, length);

	return length > 0 && banner && memcmp(banner, kernel->banner, length) == 0;
}

static enum kioku_status open_file(struct comparison *comparison, struct kioku_error *error)
{
	struct check_run *run = comparison->run;
	struct kernel_file *file = &comparison->file;

	if (run->kernel_file)
		return kernel_file_open(run->kernel_file, file, error);
	return cached_kernel_find(run->kernel, file, error) == KIOKU_ERROR_NO_MEMORY
		       ? error_no_memory(error)
	       : file->count > 0 ? KIOKU_OK
				 : KIOKU_ERROR_NOT_FOUND;
}

static enum kioku_status place_file(struct comparison *comparison, struct kioku_error *error)
{
	struct check_run *run = comparison->run;
	const struct code_range *text = &run->code->text;
	uint64_t beginning = kernel_symbol(run->kernel, "_text");
	const char *name = run->kernel_file ? run->kernel_file : "the file in the page cache";
	struct kernel_file *file = &comparison->file;

	if (beginning == 0 || text->start == 0 || text->end <= beginning)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "where the kernel's code is is not known");
	/* Its code is loaded first. */
	comparison->start = file->parts[0].virtual;
	comparison->end = comparison->start + (text->end - beginning);
	comparison->sites.slide = beginning - comparison->start;
	if (file->build_id.size && run->kernel->build_id_size ? !is_same_build(comparison)
							      : !has_same_banner(comparison))
		return error_set(error, KIOKU_ERROR_REFUSED, "%s is of another kernel", name);
	if (!kernel_file_at(file, comparison->start, text->end - beginning))
		return error_set(error, KIOKU_ERROR_REFUSED, "%s lacks code of this kernel", name);
	return KIOKU_OK;
}

/* What is not in the image is taken from the file: it is lost, and not different. */
static enum kioku_status read_code(struct comparison *comparison)
{
	uint64_t size = comparison->end - comparison->start;

	comparison->memory = malloc(size);
	if (!comparison->memory)
		return KIOKU_ERROR_NO_MEMORY;
	for (uint64_t at = 0; at < size; at += PAGE_SIZE) {
		uint64_t step = size - at < PAGE_SIZE ? size - at : PAGE_SIZE;
		if (kernel_read(comparison->run->kernel,
				comparison->start + comparison->sites.slide + at,
				comparison->memory + at, step, NULL) == KIOKU_OK)
			continue;
		comparison->lost += step;
		memcpy(comparison->memory + at,
		       kernel_file_at(&comparison->file, comparison->start + at, step), step);
	}
	if (comparison->lost)
		diagnose(&comparison->run->kernel->diagnostics, KIOKU_GAP,
			 "%llu bytes of the kernel's code could not be read, and were not compared",
			 (unsigned long long)comparison->lost);
	return KIOKU_OK;
}

/* --- what differs */

/* Of one function. */
struct difference {
	uint64_t address; /* of the first byte, in the file; 0: there is none yet */
	uint64_t bytes, function;
	char name[NAME_ROOM];
};

static enum kioku_status report(struct comparison *comparison, const struct difference *difference)
{
	uint64_t at = difference->address - comparison->start;
	uint64_t left = comparison->end - difference->address;
	size_t size = left < SHOWN ? (size_t)left : SHOWN;
	char found[CHECK_TEXT], expected[CHECK_TEXT], subject[NAME_ROOM + 32];
	char bytes[SHOWN * 3 + 1];
	const struct check_result result = {
		.severity = comparison->sites.is_sealed ? CHECK_NOTE : CHECK_FINDING,
		.certainty = comparison->sites.is_sealed ? CHECK_POSSIBLE : CHECK_CERTAIN,
		.pid = -1,
		.subject = subject,
		.address = difference->address + comparison->sites.slide,
		.compared =
			comparison->run->kernel_file
				? "the kernel's code with its file, and what it rewrites itself"
				: "the kernel's code with its file in the page cache, and what it "
				  "rewrites itself",
		.expected = expected,
		.found = found,
	};

	if (difference->address == 0)
		return KIOKU_OK;
	snprintf(subject, sizeof(subject), "%s+0x%llx", difference->name,
		 (unsigned long long)(result.address - difference->function));
	check_put_bytes(bytes, sizeof(bytes), comparison->memory + at, size);
	snprintf(found, sizeof(found), "%llu bytes of the function were changed, there: %s",
		 (unsigned long long)difference->bytes, bytes);
	check_put_bytes(bytes, sizeof(bytes),
			kernel_file_at(&comparison->file, difference->address, size), size);
	snprintf(expected, sizeof(expected), "code of the file: %s%s", bytes,
		 comparison->sites.is_sealed
			 ? "; this kernel also rewrites functions in ways that are not known here"
			 : "");
	return check_report(comparison->run, &result);
}

static enum kioku_status note(struct comparison *comparison, struct difference *difference,
			      uint64_t address)
{
	struct kioku_symbol symbol = { .name = "_text" };

	symbols_nearest(comparison->run->kernel->symbols, address + comparison->sites.slide,
			&symbol);
	if (difference->address && difference->function == symbol.address) {
		difference->bytes++;
		return KIOKU_OK;
	}
	TRY(report(comparison, difference));
	*difference =
		(struct difference){ .address = address, .bytes = 1, .function = symbol.address };
	snprintf(difference->name, sizeof(difference->name), "%s", symbol.name);
	return KIOKU_OK;
}

static enum kioku_status compare(struct comparison *comparison)
{
	struct difference difference = { 0 };
	const uint8_t *file = kernel_file_at(&comparison->file, comparison->start,
					     comparison->end - comparison->start);

	for (uint64_t at = comparison->start; at < comparison->end;) {
		uint64_t offset = at - comparison->start;
		if (comparison->memory[offset] == file[offset]) {
			at++;
			continue;
		}
		uint64_t explained = patch_sites_explain(&comparison->sites, at);
		if (explained == at) {
			TRY(note(comparison, &difference, at));
			explained++;
		}
		at = explained;
	}
	return report(comparison, &difference);
}

enum kioku_status text_comparison(struct check_run *run, struct kioku_error *error)
{
	CLEANUP(comparison_release) struct comparison comparison = { .run = run };
	struct patch_sites *sites = &comparison.sites;

	TRY(open_file(&comparison, error));
	TRY(place_file(&comparison, error));
	if (read_code(&comparison) != KIOKU_OK)
		return error_no_memory(error);
	sites->run = run;
	sites->file = &comparison.file;
	sites->memory = comparison.memory;
	sites->start = comparison.start;
	sites->end = comparison.end;
	TRY(patch_sites_read(sites, error));
	return compare(&comparison);
}
