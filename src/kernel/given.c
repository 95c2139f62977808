/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/scan.h"
#include "format/vmcoreinfo_format.h"
#include "kernel/banner.h"
#include "kernel/given.h"
#include "kernel/layout_check.h"
#include "kernel/locate.h"
#include "kernel/task.h"
#include "source/source.h"

#define TASK_STEPS   32
#define SAMPLE_LIMIT 2000         /* symbols that are compared with the image's own */
#define KASLR_STEP   (2ull << 20) /* arch/x86/Kconfig, PHYSICAL_ALIGN: at least */

void given_close(struct given *given)
{
	if (!given)
		return;
	type_file_close(given->types);
	type_file_close(given->symbols);
	free(given);
}

enum kioku_status given_open(const struct kioku_kernel_options *options, struct given **out,
			     struct kioku_error *error)
{
	*out = NULL;
	if (!options->types && !options->symbols)
		return options->force ? error_set(error, KIOKU_ERROR_ARGUMENT,
						  "there is nothing to force: neither types nor "
						  "symbols were given")
				      : KIOKU_OK;
	if (options->profile)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "a profile has types and symbols of its own: give either");
	AUTO_GIVEN struct given *given = calloc(1, sizeof(*given));
	if (!given)
		return error_no_memory(error);
	given->force = options->force;
	if (options->types)
		TRY(type_file_open(options->types, &given->types, error));
	if (options->symbols)
		TRY(symbol_file_open(options->symbols, &given->symbols, error));
	*out = TAKE(given);
	return KIOKU_OK;
}

/*
 * The image contradicts a file. That ends it, unless it is forced: then it is said, and kept to be said again.
 * Only the first contradiction is kept; each is said.
 */
__attribute__((format(printf, 4, 5))) static enum kioku_status
contradict(struct kioku_kernel *kernel, const struct type_file *file, struct kioku_error *error,
	   const char *format, ...)
{
	char reason[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	if (!kernel->given->force)
		return error_set(error, KIOKU_ERROR_REFUSED, "%s does not fit this image: %s",
				 file->path, reason);
	diagnose(&kernel->diagnostics, KIOKU_WARNING, "%s is used by force, although %s",
		 file->path, reason);
	if (!kernel->forced)
		kernel->forced =
			arena_format(&kernel->arena, "%s is used although %s", file->path, reason);
	return KIOKU_OK;
}

/* --- which kernel a file is of */

/* A build id that VMCOREINFO has as digits. */
static bool note_has_build_id(struct kioku_kernel *kernel, const struct type_file *file,
			      bool *equal)
{
	char text[2 * ELF_BUILD_ID_LIMIT + 1] = "";
	struct bytes note, value;

	note.data = (const uint8_t *)kioku_source_vmcoreinfo(kernel->source, &note.size);
	if (!note.data || !vmcoreinfo_find(note, "BUILD-ID", &value))
		return false;
	for (size_t i = 0; i < file->build_id_size; i++)
		snprintf(text + 2 * i, 3, "%02x", file->build_id[i]);
	*equal = value.size == strlen(text) && memcmp(value.data, text, value.size) == 0;
	return true;
}

/* Whether the image's build id is the file's; false: that cannot be told. */
static bool compare_build_ids(struct kioku_kernel *kernel, const struct type_file *file,
			      bool *equal)
{
	if (!file->build_id_size)
		return false;
	kernel_find_build_id(kernel);
	if (!kernel->build_id_size)
		return note_has_build_id(kernel, file, equal);
	*equal = kernel->build_id_size == file->build_id_size &&
		 memcmp(kernel->build_id, file->build_id, file->build_id_size) == 0;
	return true;
}

/*
 * Source is of a version, which the banner has in it, but for distributors that count otherwise, from 0. What else a
 * release ends in, a configuration says in part: the rest may have been added by whoever built it.
 */
static enum kioku_status check_source(struct kioku_kernel *kernel, const struct type_file *file,
				      struct bytes banner, const char **known,
				      struct kioku_error *error)
{
	struct bytes release = { banner.data, strcspn((const char *)banner.data, " ") };
	struct bytes version = bytes_of_text(file->version);

	if (banner_has_version(banner, version))
		*known = "the image's banner names the version of its source";
	else if (!banner_may_be_version(release, version))
		TRY(contradict(kernel, file, error,
			       "it was made from source %s, the image is of %.*s", file->version,
			       (int)release.size, release.data));
	if (!memmem(release.data, release.size, file->local_version, strlen(file->local_version)))
		TRY(contradict(kernel, file, error,
			       "its configuration names releases \"%s\", the image is of %.*s",
			       file->local_version, (int)release.size, release.data));
	return KIOKU_OK;
}

/* Compares what a file says of its kernel. *known: by what it was recognised; NULL: it says nothing of it. */
static enum kioku_status check_identity(struct kioku_kernel *kernel, const struct type_file *file,
					const char **known, struct kioku_error *error)
{
	const char *release = kernel->banner + strlen("Linux version ");
	bool equal;

	*known = NULL;
	if (compare_build_ids(kernel, file, &equal)) {
		*known = "its build id is the image's";
		if (!equal)
			TRY(contradict(kernel, file, error,
				       "it is of another build: its build id is not the image's"));
	}
	if (file->banner[0]) {
		if (!*known)
			*known = "its banner is the image's";
		if (strcmp(file->banner, kernel->banner) != 0)
			TRY(contradict(kernel, file, error,
				       "it is of \"%.120s\", the image of \"%.120s\"", file->banner,
				       kernel->banner));
	}
	if (file->release[0]) {
		*known = "it was made for the image's release";
		if (strlen(file->release) != strcspn(release, " ") ||
		    strncmp(file->release, release, strlen(file->release)) != 0)
			TRY(contradict(kernel, file, error,
				       "it was made for %s, the image is of %.*s", file->release,
				       (int)strcspn(release, " "), release));
	}
	return file->version[0] ? check_source(kernel, file, bytes_of_text(release), known, error)
				: KIOKU_OK;
}

/* --- symbols */

static bool symbol_at(const struct kioku_symbols *symbols, const char *name, uint64_t *out)
{
	struct kioku_symbol symbol;

	if (kioku_symbols_find(symbols, name, &symbol, NULL) != KIOKU_OK)
		return false;
	*out = symbol.address;
	return true;
}

/* How far the kernel lies from where the file has it. False: the file says neither of two places. */
static bool find_shift(const struct kioku_kernel *kernel, const struct kioku_symbols *symbols,
		       uint64_t *out)
{
	uint64_t address;

	if (symbol_at(symbols, "_text", &address) || symbol_at(symbols, "_stext", &address))
		*out = kernel->image.start - address;
	else if (symbol_at(symbols, "linux_banner", &address))
		*out = kernel->banner_virtual - address;
	else
		return false;
	return true;
}

/* A symbol of the image's own that the file has elsewhere, or NULL; of names that there are once. */
static const char *displaced_symbol(const struct kioku_symbols *own,
				    const struct kioku_symbols *given, uint64_t shift)
{
	size_t count = kioku_symbols_count(own), step = count / SAMPLE_LIMIT + 1;

	for (size_t i = 0; i < count; i += step) {
		struct kioku_symbol symbol = kioku_symbols_get(own, i), other, more;
		struct symbol_cursor here = { 0 }, there = { 0 };
		if (symbols_is_absolute(own, i) ||
		    !symbols_next_named(own, symbol.name, &here, &other) ||
		    symbols_next_named(own, symbol.name, &here, &more) ||
		    !symbols_next_named(given, symbol.name, &there, &other) ||
		    symbols_next_named(given, symbol.name, &there, &more))
			continue;
		if (other.address + shift != symbol.address)
			return symbol.name;
	}
	return NULL;
}

/* The start of the image, the banner and the image's own symbols, if it has some, must agree on a distance. */
static enum kioku_status check_places(struct kioku_kernel *kernel, const struct type_file *file,
				      uint64_t shift, struct kioku_error *error)
{
	uint64_t banner;

	if (shift % KASLR_STEP)
		TRY(contradict(
			kernel, file, error,
			"its kernel starts 0x%llx away from the image's, which is no distance "
			"that KASLR moves one by",
			(unsigned long long)shift));
	if (!symbol_at(file->symbols, "linux_banner", &banner))
		diagnose(&kernel->diagnostics, KIOKU_NOTE,
			 "%s has no linux_banner: that it is of this kernel is not proved",
			 file->path);
	else if (!kernel_read_banner(kernel, banner + shift))
		TRY(contradict(kernel, file, error,
			       "there is no banner where its linux_banner is"));
	const char *displaced =
		kernel->symbols ? displaced_symbol(kernel->symbols, file->symbols, shift) : NULL;
	if (displaced)
		TRY(contradict(kernel, file, error, "%s is elsewhere in the image", displaced));
	return KIOKU_OK;
}

static enum kioku_status apply_symbols(struct kioku_kernel *kernel, const struct type_file *file,
				       struct kioku_error *error)
{
	struct kioku_symbols *symbols;
	uint64_t shift = 0;

	if (!find_shift(kernel, file->symbols, &shift))
		TRY(contradict(
			kernel, file, error,
			"it has neither linux_banner nor _text, so that it cannot be told where "
			"its kernel was"));
	TRY(check_places(kernel, file, shift, error));
	TRY(symbols_from_blob(symbols_blob(file->symbols), symbols_base(file->symbols) + shift,
			      &symbols, error));
	symbols_close(kernel->symbols);
	kernel->symbols = symbols;
	kernel->symbols_evidence =
		arena_format(&kernel->arena, "%s (%s), moved by 0x%llx%s", file->path, file->form,
			     (unsigned long long)shift, kernel->forced ? ", used by force" : "");
	return KIOKU_OK;
}

/* --- types */

static enum kioku_status apply_types(struct kioku_kernel *kernel, const struct type_file *file,
				     struct kioku_error *error)
{
	struct kioku_types *types;
	const char *known;
	char difference[256];
	uint32_t id;

	TRY(check_identity(kernel, file, &known, error));
	if (kioku_types_find(file->types, "struct task_struct", &id, NULL) != KIOKU_OK ||
	    kioku_type_kind(file->types, id) != KIOKU_TYPE_STRUCT)
		TRY(contradict(kernel, file, error, "it has no struct task_struct"));
	if (kernel->types &&
	    !layouts_agree(kernel->types, file->types, difference, sizeof(difference)))
		TRY(contradict(kernel, file, error, "by the image's own BTF, %s", difference));
	if (!known && kernel->types)
		known = "it agrees with the image's BTF";
	if (!known)
		diagnose(&kernel->diagnostics, KIOKU_NOTE,
			 "nothing in %s says which kernel it is of: that its types fit is known "
			 "from "
			 "the tasks alone",
			 file->path);
	TRY(types_from_blob(types_blob(file->types), &types, error));
	/* The image's own are what the types of its modules are counted on from. */
	kernel->own_types = kernel->types;
	kernel->types = types;
	kernel->types_are_foreign = true;
	if (file->member_evidence.size)
		kernel_types_are_inferred(kernel, file->member_evidence);
	kernel->types_problem = NULL;
	kernel->types_evidence = arena_format(&kernel->arena, "%s (%s): %s", file->path, file->form,
					      kernel->forced ? "used by force"
					      : known        ? known
							     : "known to fit by the tasks alone");
	if (file->flaw[0])
		diagnose(&kernel->diagnostics, KIOKU_GAP, "types of %s: %s", file->path,
			 file->flaw);
	return KIOKU_OK;
}

enum kioku_status given_apply(struct kioku_kernel *kernel, struct kioku_error *error)
{
	const struct given *given = kernel->given;

	if (!kernel->banner)
		return KIOKU_OK;
	if (given->symbols)
		TRY(apply_symbols(kernel, given->symbols, error));
	else if (given->types && given->types->symbols && !kernel->symbols)
		TRY(apply_symbols(kernel, given->types, error));
	return given->types ? apply_types(kernel, given->types, error) : KIOKU_OK;
}

/* --- tasks */

/* Where two members of a task are: what is read of it. */
struct task_layout {
	struct type_place list, comm, pid;
};

static bool task_layout(const struct kioku_types *types, struct task_layout *out)
{
	return types_find_place(types, "struct task_struct", "tasks", &out->list) &&
	       types_find_place(types, "struct task_struct", "comm", &out->comm) &&
	       types_find_place(types, "struct task_struct", "pid", &out->pid) &&
	       out->comm.size >= 16 && out->pid.size == 4;
}

/* What is wrong with a task that the list leads to; NULL: nothing, or it cannot be read. */
static const char *task_problem(struct kioku_kernel *kernel, const struct task_layout *layout,
				uint64_t task)
{
	uint8_t pid[4], comm[16];

	if (kernel_read(kernel, task + layout->pid.offset, pid, sizeof(pid), NULL) != KIOKU_OK ||
	    kernel_read(kernel, task + layout->comm.offset, comm, sizeof(comm), NULL) != KIOKU_OK)
		return NULL;
	if (load_le32(pid) == 0 || load_le32(pid) >= PID_LIMIT)
		return "has a pid that there is not";
	if (comm[0] == '\0' || !memchr(comm, '\0', sizeof(comm)))
		return "has no name";
	return NULL;
}

/*
 * The first task of the list, or some behind it: each must point back. Only what is wrong with the first one is a
 * contradiction, for later ones may be damaged.
 */
static const char *list_problem(struct kioku_kernel *kernel, const struct task_layout *layout)
{
	uint64_t head = kernel->init_task + layout->list.offset, next, back;

	if (address_read_u64(&kernel->space, head, &next, NULL) != KIOKU_OK || next == head)
		return NULL;
	if (!kernel_is_pointer(kernel, next))
		return "is no pointer";
	if (address_read_u64(&kernel->space, next + 8, &back, NULL) != KIOKU_OK)
		return NULL;
	if (back != head)
		return "does not point back";
	return task_problem(kernel, layout, next - layout->list.offset);
}

enum kioku_status given_check_tasks(struct kioku_kernel *kernel, struct kioku_error *error)
{
	const struct type_file *file = kernel->given->types;
	struct task_layout layout;

	if (!file || !kernel->banner || !task_layout(kernel->types, &layout))
		return KIOKU_OK;
	if (!kernel->init_task)
		return contradict(
			kernel, file, error,
			"with its struct task_struct, nothing in the image is the first task "
			"(swapper)");
	const char *problem = list_problem(kernel, &layout);
	return problem ? contradict(kernel, file, error,
				    "with its struct task_struct, the list of tasks is none: what "
				    "follows the first one %s",
				    problem)
		       : KIOKU_OK;
}
