/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stand-in for libkioku with one invented kernel, so that the tool's own work (parsing, printing,
 * exit status) is tested without an image, and with names that no guest would give its processes.
 * The path of the source chooses what it does: see scenario().
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kioku/kioku.h>

struct kioku_source {
	char where[256];
	struct kioku_source_options options;
};

struct kioku_kernel {
	struct kioku_source *source;
	struct kioku_kernel_options options;
	struct kioku_fact facts[4];
};

struct kioku_address_space {
	uint64_t root;
};

struct kioku_view {
	const char *name, *help;
	const struct kioku_column *columns;
	size_t column_count;
	unsigned options;
};

struct kioku_types {
	int unused;
};

struct kioku_symbols {
	int unused;
};

static const struct kioku_types types;
static const struct kioku_symbols symbols;

static bool scenario(const struct kioku_source *source, const char *word)
{
	return strstr(source->where, word) != NULL;
}

static enum kioku_status fail(struct kioku_error *error, enum kioku_status status, const char *text)
{
	if (error) {
		error->status = status;
		snprintf(error->message, sizeof(error->message), "%s", text);
	}
	return status;
}

const char *kioku_status_name(enum kioku_status status)
{
	return status == KIOKU_OK             ? "ok"
	       : status == KIOKU_ERROR_ABSENT ? "not in the image"
					      : "bad";
}

const char *kioku_presence_name(enum kioku_presence presence)
{
	return presence == KIOKU_CELL_NOT_APPLICABLE ? "not applicable" : "unreadable";
}

/* Capture: says what it was asked for. */

static const struct kioku_image_format lime = { "lime", "lime", "LiME" };
static const struct kioku_image_format kdump = { "kdump", "kdump", "compressed kdump" };

const struct kioku_image_format *const *kioku_image_formats(void)
{
	static const struct kioku_image_format *const all[] = { &lime, &kdump, NULL };
	return all;
}

const char *const *kioku_image_codecs(void)
{
	static const char *const all[] = { "zstd", "lz4", "gzip", NULL };
	return all;
}

static const char *or_none(const char *text)
{
	return text ? text : "-";
}

static void tell(const struct kioku_capture_options *options, const char *destination)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "to %s as %s pages %s codec %s level %d threads %u digests %u rate %llu "
		 "timeout %u manifest %s key %s context %d swap %d kernel %d",
		 destination, or_none(options->format), or_none(options->page_codec),
		 or_none(options->codec), options->level, options->threads, options->digests,
		 (unsigned long long)options->rate, options->read_timeout,
		 or_none(options->manifest), or_none(options->signing_key), options->context,
		 options->swap, options->kernel != NULL);
	options->diagnostic(options->diagnostic_user, KIOKU_NOTE, text);
}

/* One GiB in ten seconds at most, until it is stopped. */
static bool go_slowly(const struct kioku_capture_options *options)
{
	struct kioku_capture_progress progress = { .total = 1 << 30 };

	while (progress.done < progress.total) {
		progress.done += 1 << 20;
		progress.lost += 4096;
		usleep(10000);
		if (!options->progress(options->progress_user, &progress))
			return false;
		if (progress.done == 64 << 20)
			options->diagnostic(options->diagnostic_user, KIOKU_WARNING, "aside");
	}
	return true;
}

enum kioku_status kioku_capture(struct kioku_source *source, const char *destination,
				const struct kioku_capture_options *options,
				struct kioku_capture_result *result, struct kioku_error *error)
{
	tell(options, destination);
	if (scenario(source, "exists"))
		return fail(error, KIOKU_ERROR_ARGUMENT, "it exists already");
	if (scenario(source, "full"))
		return fail(error, KIOKU_ERROR_OS, "cannot write: no space");
	*result = (struct kioku_capture_result){ .memory_size = 4096, .complete = true };
	result->complete = !scenario(source, "slow") || go_slowly(options);
	result->lost_size = scenario(source, "lossy") ? 4096 : 0;
	strcpy(result->image_md5, "d41d8cd98f00b204e9800998ecf8427e");
	strcpy(result->image_sha256, "e3b0c442");
	return KIOKU_OK;
}

enum kioku_status kioku_capture_check_process(const char *destination,
					      const struct kioku_capture_options *options,
					      struct kioku_error *error)
{
	return KIOKU_OK;
}

/* The image's name says what is wrong with it; of a range, everything is. */
enum kioku_status kioku_verify(const char *image, const struct kioku_verify_options *options,
			       struct kioku_verify_result *result, struct kioku_error *error)
{
	const struct kioku_damage whole = { 0, 0, 0, "evil \x1b[2J signature" };
	const struct kioku_damage one = { 0x300000, 0x100000, 3, "segment differs" };
	const struct kioku_damage some = { options->range_start, options->range_size, 0, "run" };

	*result = (struct kioku_verify_result){ .checked = 4096, .segments = 4, .damaged = 2 };
	strcpy(result->proof_path, "proof\x1b");
	if (strstr(image, "unproven"))
		return fail(error, KIOKU_ERROR_NOT_FOUND, "nothing to check it against");
	if (strstr(image, "wrong"))
		return fail(error, KIOKU_ERROR_ARGUMENT, "the range ends beyond it");
	options->diagnostic(options->diagnostic_user, KIOKU_NOTE, "a note");
	if (options->key)
		options->diagnostic(options->diagnostic_user, KIOKU_NOTE, options->key);
	result->is_signed = result->signature_checked = options->key != NULL;
	if (strstr(image, "prefix")) {
		result->verdict = KIOKU_PREFIX;
		result->proof = KIOKU_PROOF_JOURNAL;
	}
	if (!strstr(image, "damaged"))
		return KIOKU_OK;
	result->verdict = KIOKU_DAMAGED;
	if (!options->damage(options->damage_user, &whole) ||
	    !options->damage(options->damage_user, &one) ||
	    (some.size > 0 && !options->damage(options->damage_user, &some)))
		return fail(error, KIOKU_ERROR_STOPPED, "stopped");
	return KIOKU_OK;
}

/* Source: physical memory is one MiB, whose second page is missing. */

enum kioku_status kioku_source_open(const char *where, const struct kioku_source_options *options,
				    struct kioku_source **out, struct kioku_error *error)
{
	if (strstr(where, "nosource"))
		return fail(error, KIOKU_ERROR_CORRUPT, "cannot open \x1b[2Jnosource: \xff");
	*out = calloc(1, sizeof(**out));
	if (!*out)
		abort();
	snprintf((*out)->where, sizeof((*out)->where), "%s", where);
	(*out)->options = *options;
	for (size_t i = 0; i < options->placement_count; i++) {
		char text[128];
		snprintf(text, sizeof(text), "placed %llx+%llx@%llx",
			 (unsigned long long)options->placements[i].start,
			 (unsigned long long)options->placements[i].size,
			 (unsigned long long)options->placements[i].file_offset);
		options->diagnostic(options->diagnostic_user, KIOKU_NOTE, text);
	}
	return KIOKU_OK;
}

void kioku_source_close(struct kioku_source *source)
{
	free(source);
}

bool kioku_source_is_ambiguous(const struct kioku_source *source)
{
	return false;
}

bool kioku_source_lacks_ranges(const struct kioku_source *source)
{
	return false;
}

const char *kioku_source_format(const struct kioku_source *source)
{
	return kioku_source_is_live(source) ? "kcore" : "fake";
}

bool kioku_source_is_live(const struct kioku_source *source)
{
	return strcmp(source->where, "live") == 0;
}

const struct kioku_range *kioku_source_ranges(const struct kioku_source *source, size_t *count)
{
	static const struct kioku_range ranges[] = {
		{ 0, 0x1000, KIOKU_RANGE_PRESENT },
		{ 0x1000, 0x1000, KIOKU_RANGE_UNREADABLE },
		{ 0x2000, 0xfe000, KIOKU_RANGE_PRESENT },
	};
	*count = 3;
	return ranges;
}

enum kioku_status kioku_source_read(struct kioku_source *source, uint64_t physical, void *buffer,
				    size_t size, struct kioku_error *error)
{
	if (physical >= 0x100000 || size > 0x100000 - physical ||
	    (physical < 0x2000 && physical + size > 0x1000))
		return fail(error, KIOKU_ERROR_ABSENT, "not in the image");
	for (size_t i = 0; i < size; i++)
		((uint8_t *)buffer)[i] = (uint8_t)(physical + i);
	return KIOKU_OK;
}

const struct kioku_cpu *kioku_source_cpus(const struct kioku_source *source, size_t *count)
{
	static const struct kioku_cpu cpu = { .cr3 = 0x2000, .rip = 0xffffffff81000000 };
	*count = 1;
	return &cpu;
}

const struct kioku_source_fact *kioku_source_manifest(const struct kioku_source *source,
						      size_t *count)
{
	static const struct kioku_source_fact facts[] = {
		{ "state", "complete" },
		{ "host", "<img src=x onerror=alert(1)>\x1b[2J" },
		{ "image_sha256", "e3b0c442" },
	};
	*count = scenario(source, "proven") ? 3 : 0;
	return *count ? facts : NULL;
}

const char *kioku_source_vmcoreinfo(const struct kioku_source *source, size_t *size)
{
	return NULL;
}

struct kioku_source_stats kioku_source_stats(const struct kioku_source *source)
{
	return (struct kioku_source_stats){ 8192, 3, 2 };
}

/* Address spaces: every address is its own physical one. The page at 0x6000 is one from swap. */

static uint64_t swap_reads;

enum kioku_status kioku_address_space_read(struct kioku_address_space *space,
					   uint64_t virtual_address, void *buffer, size_t size,
					   struct kioku_error *error)
{
	if (virtual_address < 0x7000 && virtual_address + size > 0x6000)
		swap_reads++;
	return kioku_source_read(NULL, virtual_address, buffer, size, error);
}

void kioku_address_space_close(struct kioku_address_space *space)
{
	free(space);
}

/* Kernel. */

enum kioku_status kioku_kernel_open(struct kioku_source *source,
				    const struct kioku_kernel_options *options,
				    struct kioku_kernel **out, struct kioku_error *error)
{
	char text[300];

	if (scenario(source, "nokernel"))
		return fail(error, KIOKU_ERROR_NOT_FOUND, "no kernel proves itself");
	if (scenario(source, "showcache")) {
		snprintf(text, sizeof(text), "cache %s, profile %s",
			 options->cache_folder ? options->cache_folder : "none",
			 options->profile ? options->profile : "none");
		options->diagnostic(options->diagnostic_user, KIOKU_WARNING, text);
	}
	*out = calloc(1, sizeof(**out));
	if (!*out)
		abort();
	**out = (struct kioku_kernel){ source,
				       *options,
				       {
					       { "release", "6.1.0-fake", "banner" },
					       { "banner", "Linux \xff\\ \"fake\"", "kallsyms" },
					       { "types", scenario(source, "notypes") ? NULL : "2",
						 "no BTF header" },
				       } };
	return KIOKU_OK;
}

void kioku_kernel_close(struct kioku_kernel *kernel)
{
	free(kernel);
}

const struct kioku_symbols *kioku_kernel_symbols(const struct kioku_kernel *kernel)
{
	return &symbols;
}

const struct kioku_types *kioku_kernel_types(const struct kioku_kernel *kernel)
{
	return scenario(kernel->source, "notypes") ? NULL : &types;
}

struct kioku_address_space *kioku_kernel_space(struct kioku_kernel *kernel)
{
	static struct kioku_address_space space;
	return &space;
}

enum kioku_status kioku_process_core_open(struct kioku_kernel *kernel, int32_t pid,
					  const struct kioku_area *areas, size_t area_count,
					  struct kioku_source **out, struct kioku_error *error)
{
	return fail(error, KIOKU_ERROR_NOT_FOUND, "no process has this pid");
}

enum kioku_status kioku_process_space_open(struct kioku_kernel *kernel, int32_t pid,
					   struct kioku_address_space **out,
					   struct kioku_error *error)
{
	if (pid != 1)
		return fail(error, KIOKU_ERROR_NOT_FOUND, "no process has this pid");
	return kioku_cr3_space_open(kernel, 0x1111000, out, error);
}

enum kioku_status kioku_cr3_space_open(struct kioku_kernel *kernel, uint64_t cr3,
				       struct kioku_address_space **out, struct kioku_error *error)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		abort();
	(*out)->root = cr3;
	return KIOKU_OK;
}

const struct kioku_fact *kioku_kernel_facts(const struct kioku_kernel *kernel, size_t *count)
{
	*count = 3;
	return kernel->facts;
}

enum kioku_status kioku_kernel_add_swap(struct kioku_kernel *kernel, const char *path,
					struct kioku_error *error)
{
	return fail(error, KIOKU_ERROR_REFUSED, "there are no areas");
}

uint64_t kioku_kernel_swap_reads(const struct kioku_kernel *kernel)
{
	return swap_reads;
}

enum kioku_status kioku_kernel_save_profile(struct kioku_kernel *kernel, const char *path,
					    struct kioku_error *error)
{
	return fail(error, KIOKU_ERROR_UNSUPPORTED, "nothing to save");
}

enum kioku_status kioku_layout_build(const struct kioku_layout_options *options,
				     struct kioku_error *error)
{
	return fail(error, KIOKU_ERROR_UNSUPPORTED, "make failed");
}

enum kioku_status kioku_kernel_export_isf(struct kioku_kernel *kernel,
					  const struct kioku_isf_options *options,
					  kioku_isf_fn *function, void *user,
					  struct kioku_error *error)
{
	const char *text = options->compressed ? "compressed\n" : "{}\n";

	if (scenario(kernel->source, "notypes"))
		return fail(error, KIOKU_ERROR_UNSUPPORTED, "no types");
	return function(user, text, strlen(text)) ? KIOKU_OK
						  : fail(error, KIOKU_ERROR_OS, "not written");
}

size_t kioku_symbols_count(const struct kioku_symbols *table)
{
	return 2;
}

/* Types: struct fake { int a; :3; }. */

uint32_t kioku_types_count(const struct kioku_types *all)
{
	return 2;
}

enum kioku_type_kind kioku_type_kind(const struct kioku_types *all, uint32_t id)
{
	return id == 1 ? KIOKU_TYPE_STRUCT : KIOKU_TYPE_INT;
}

const char *kioku_type_name(const struct kioku_types *all, uint32_t id)
{
	return id == 1 ? "fake" : "int";
}

enum kioku_status kioku_types_find(const struct kioku_types *all, const char *name, uint32_t *out,
				   struct kioku_error *error)
{
	if (strcmp(name, "fake") != 0)
		return fail(error, KIOKU_ERROR_NOT_FOUND, "no such type");
	*out = 1;
	return KIOKU_OK;
}

uint64_t kioku_type_size(const struct kioku_types *all, uint32_t id)
{
	return id == 1 ? 8 : 4;
}

bool kioku_type_member_at(const struct kioku_types *all, uint32_t id, uint32_t index,
			  struct kioku_member *out)
{
	static const struct kioku_member members[] = { { "a", 2, 0, 0 }, { "b", 2, 35, 3 } };
	if (index >= 2)
		return false;
	*out = members[index];
	return true;
}

enum kioku_status kioku_type_print(const struct kioku_types *all, uint32_t id, char **out,
				   struct kioku_error *error)
{
	*out = strdup("struct fake {\n\tint a;\n\tint evil\x1b[2J;\n};\n");
	return *out ? KIOKU_OK : KIOKU_ERROR_NO_MEMORY;
}

/* Views. */

static const struct kioku_column ps_columns[] = {
	{ "task", KIOKU_KIND_ADDRESS, "address of the task_struct", false },
	{ "pid", KIOKU_KIND_INTEGER, "process id", false },
	{ "size", KIOKU_KIND_SIZE, "bytes", false },
	{ "hidden", KIOKU_KIND_BOOLEAN, "whether it hides", true },
	{ "start_time", KIOKU_KIND_TIME, "when it started, UTC", false },
	{ "depth", KIOKU_KIND_UNSIGNED, "generations below the first", false },
	{ "comm", KIOKU_KIND_TEXT, "name of the process", false },
};
static const struct kioku_column where_columns[] = {
	{ "root", KIOKU_KIND_ADDRESS, "root of the page tables", false },
	{ "address", KIOKU_KIND_ADDRESS, "what was asked for", false },
	{ "steps", KIOKU_KIND_BOOLEAN, "whether steps were asked for", false },
};
static const struct kioku_column basis_column = { "basis", KIOKU_KIND_TEXT, "what the row rests on",
						  true };
static const struct kioku_view ps_view = { "ps", "processes", ps_columns, 7,
					   KIOKU_VIEW_PID | KIOKU_VIEW_ALL | KIOKU_VIEW_NAME };
static const struct kioku_view pstree_view = { "pstree", "processes as a tree", ps_columns, 7,
					       KIOKU_VIEW_PID | KIOKU_VIEW_TREE };
static const struct kioku_view where_view = { "where", "an address", where_columns, 3,
					      KIOKU_VIEW_SPACE | KIOKU_VIEW_ADDRESS |
						      KIOKU_VIEW_STEPS };

const struct kioku_view *const *kioku_views(void)
{
	static const struct kioku_view *const views[] = { &ps_view, &pstree_view, &where_view,
							  NULL };
	return views;
}

const struct kioku_view *kioku_view_find(const char *name)
{
	for (const struct kioku_view *const *view = kioku_views(); *view; view++)
		if (strcmp((*view)->name, name) == 0)
			return *view;
	return NULL;
}

const char *kioku_view_name(const struct kioku_view *view)
{
	return view->name;
}

const char *kioku_view_help(const struct kioku_view *view)
{
	return view->help;
}

const struct kioku_column *kioku_view_column(const struct kioku_view *view, size_t index)
{
	if (index < view->column_count)
		return &view->columns[index];
	return index == view->column_count ? &basis_column : NULL;
}

size_t kioku_view_column_count(const struct kioku_view *view)
{
	return view->column_count + 1;
}

enum kioku_basis kioku_kernel_basis(const struct kioku_kernel *kernel)
{
	return scenario(kernel->source, "forced")     ? KIOKU_BASIS_FORCED
	       : scenario(kernel->source, "inferred") ? KIOKU_BASIS_INFERRED
						      : KIOKU_BASIS_TYPES;
}

const char *kioku_basis_name(enum kioku_basis basis)
{
	return basis == KIOKU_BASIS_FORCED     ? "forced"
	       : basis == KIOKU_BASIS_INFERRED ? "inferred"
					       : "types";
}

/* Of the first process, nothing was read by types. */
static struct kioku_cell basis_cell(const struct kioku_kernel *kernel, bool is_first)
{
	const char *name = kioku_basis_name(kioku_kernel_basis(kernel));

	if (is_first)
		return (struct kioku_cell){ .presence = KIOKU_CELL_NOT_APPLICABLE };
	return (struct kioku_cell){ .value.text = { name, strlen(name) } };
}

unsigned kioku_view_option_mask(const struct kioku_view *view)
{
	return view->options;
}

enum kioku_status kioku_view_supported(const struct kioku_view *view, struct kioku_kernel *kernel,
				       struct kioku_error *error)
{
	if (scenario(kernel->source, "notypes"))
		return fail(error, KIOKU_ERROR_UNSUPPORTED, "task_struct.pid is unknown");
	return KIOKU_OK;
}

static const struct process {
	int32_t pid;
	unsigned depth;
	const char *comm;
	size_t comm_size;
} processes[] = {
#define PROCESS(pid, depth, comm)                  \
	{                                          \
		pid, depth, comm, sizeof(comm) - 1 \
	}
	PROCESS(1, 0, "init"),
	PROCESS(10, 1, "evil\x1b[31m\n\t\x7f"),
	PROCESS(11, 2, "back\\slash"),
	PROCESS(12, 2, "\xff\\x\x80"),
	PROCESS(13, 3,
		"\xc2\x9b"
		"31m\xe2\x80\xae\xf0\x9f\x90\xb1"),
	PROCESS(20, 1, "say \"a,b\""),
	PROCESS(21, 2, ""),
	PROCESS(30, 0, "=cmd\xe6\x97\xa5\xe6\x9c\xac"),
};

/* With the scenario "hostile": what would run, break out of, or break a page of HTML. */
static char endless[100000];
static const struct process hostile[] = {
	PROCESS(100, 0, "<script>alert(1)</script>"),
	PROCESS(101, 1, "</script><script>alert(2)</script>"),
	PROCESS(102, 2, "<!--<script>"),
	PROCESS(103, 3, "\"'><img src=x onerror=alert(3)>"),
	PROCESS(104, 4, "]]>&lt;b&gt;&amp;${alert(4)}`\\u003c"),
	PROCESS(105, 1, "\xe2\x80\xaetxt.exe\xe2\x80\xa8\xe2\x81\xa6"),
	PROCESS(106, 1, "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d abc"),
	PROCESS(107, 1, "javascript:alert(5)"),
	PROCESS(108, 1, "https://example.com/track.png"),
	{ 109, 1, endless, sizeof(endless) },
};

static enum kioku_status send(const struct kioku_kernel *kernel, const struct process *process,
			      kioku_row_fn *row, void *user)
{
	const struct kioku_cell cells[] = {
		{ .value.number = 0xffff888000000000 + (uint64_t)process->pid },
		{ .value.integer = process->pid },
		{ .value.number = process->pid == 30 ? 1000 : (uint64_t)process->pid << 20 },
		{ .value.boolean = process->pid == 13 },
		{ .presence = process->pid == 1    ? KIOKU_CELL_NOT_APPLICABLE
			      : process->pid == 20 ? KIOKU_CELL_UNREADABLE
						   : KIOKU_CELL_PRESENT,
		  .value.integer = process->pid == 30 ? -1 : 1795182361123456789 },
		{ .value.number = process->depth },
		{ .value.text = { process->comm, process->comm_size } },
		basis_cell(kernel, process->pid == 1),
	};
	return row(user, cells, 8);
}

static enum kioku_status run_where(struct kioku_kernel *kernel,
				   const struct kioku_view_options *options, kioku_row_fn *row,
				   void *user)
{
	const struct kioku_cell cells[] = {
		{ .value.number = options->space       ? options->space->root
				  : options->pid_count ? 0x1111000
						       : 0 },
		{ .value.number = options->address },
		{ .value.boolean = options->steps },
		basis_cell(kernel, false),
	};
	return row(user, cells, 4);
}

/* The last one once only: a browser would print it again and again. */
static enum kioku_status send_hostile(const struct kioku_kernel *kernel, size_t rounds,
				      kioku_row_fn *row, void *user)
{
	enum kioku_status status = KIOKU_OK;

	memset(endless, 'W', sizeof(endless));
	for (size_t i = 0; i < rounds && status == KIOKU_OK; i++)
		for (size_t j = 0; j + (i > 0) < sizeof(hostile) / sizeof(hostile[0]); j++)
			if (status == KIOKU_OK)
				status = send(kernel, &hostile[j], row, user);
	return status;
}

static enum kioku_status run_ps(struct kioku_kernel *kernel,
				const struct kioku_view_options *options, kioku_row_fn *row,
				void *user)
{
	size_t rounds = scenario(kernel->source, "many") ? 100000 : 1;

	for (size_t i = 0; i < rounds * sizeof(processes) / sizeof(processes[0]); i++) {
		struct process process = processes[i % (sizeof(processes) / sizeof(processes[0]))];
		bool wanted = options->pid_count == 0;
		for (size_t j = 0; j < options->pid_count; j++)
			wanted |= options->pids[j] == process.pid;
		if (options->name && strcmp(options->name, process.comm) != 0)
			wanted = false;
		if (scenario(kernel->source, "deep"))
			process.depth = (unsigned)i * 10;
		enum kioku_status status = wanted ? send(kernel, &process, row, user) : KIOKU_OK;
		if (status != KIOKU_OK)
			return status;
	}
	/* Past what a page has as HTML, too. */
	return scenario(kernel->source, "hostile") ? send_hostile(kernel, 300, row, user)
						   : KIOKU_OK;
}

enum kioku_status kioku_view_run(const struct kioku_view *view, struct kioku_kernel *kernel,
				 const struct kioku_view_options *options, kioku_row_fn *row,
				 void *user, struct kioku_error *error)
{
	char text[64];

	if (kioku_view_supported(view, kernel, error) != KIOKU_OK)
		return KIOKU_ERROR_UNSUPPORTED;
	if (scenario(kernel->source, "shrinks")) /* as a mapped file does */
		raise(SIGBUS);
	for (int i = 0; i < (scenario(kernel->source, "gaps") ? 30 : 0); i++) {
		snprintf(text, sizeof(text), "task at 0x%x: \"evil\x1b%d\" is lost", i * 4096, i);
		kernel->options.diagnostic(kernel->options.diagnostic_user, KIOKU_GAP, text);
	}
	enum kioku_status status = view == &where_view ? run_where(kernel, options, row, user)
						       : run_ps(kernel, options, row, user);
	if (status == KIOKU_OK && scenario(kernel->source, "breaks"))
		return fail(error, KIOKU_ERROR_LIMIT, "the list has no end");
	return status == KIOKU_ERROR_STOPPED ? fail(error, status, "stopped") : status;
}

/* Two transfers, of which one goes wrong, from machines with hostile names. */
enum kioku_status kioku_receive(const struct kioku_receive_options *options,
				struct kioku_receive_result *result, struct kioku_error *error)
{
	struct kioku_receive_event event = {
		.address = "127.0.0.1:7633",
		.transfer = "",
		.url = "",
		.peer = "",
		.host = "",
		.folder = "",
		.image = "",
		.sha256 = "",
		.message = "",
	};
	static const enum kioku_receive_kind kinds[] = {
		KIOKU_RECEIVE_STARTED, KIOKU_RECEIVE_PROGRESS, KIOKU_RECEIVE_BROKEN,
		KIOKU_RECEIVE_RESUMED, KIOKU_RECEIVE_DONE,     KIOKU_RECEIVE_FAILED,
	};

	*result = (struct kioku_receive_result){ .done = 1, .failed = 1 };
	if (options->folder && strcmp(options->folder, "absent") == 0)
		return fail(error, KIOKU_ERROR_OS, "cannot open the folder absent");
	options->event(options->user, &event);
	event = (struct kioku_receive_event){
		.kind = KIOKU_RECEIVE_URL,
		.url = "kioku://127.0.0.1:7633/#KEY",
		.address = "",
		.transfer = "",
		.peer = "",
		.host = "",
		.folder = "",
		.image = "",
		.sha256 = "",
		.message = "",
	};
	options->event(options->user, &event);
	event.url = "";
	event.transfer = "00112233445566778899aabbccddeeff";
	event.peer = "192.0.2.1:4000";
	event.host = "evil\x1b[31m\n";
	event.folder = "out/evil";
	event.image = "memory.lime";
	event.message = "why\x1b]0;";
	event.expected = 4096;
	event.seconds = 1.5;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		event.kind = kinds[i];
		event.received += 512;
		options->event(options->user, &event);
	}
	return KIOKU_OK;
}

/* --- snapshots: of process 7, which is called odd */

struct kioku_process {
	struct kioku_process_summary summary;
	struct kioku_source source;
};

const char *kioku_snapshot_method_name(enum kioku_snapshot_method method)
{
	static const char *const names[] = { "auto", "track", "fork", "stop" };

	return names[method];
}

enum kioku_status kioku_process_find(const char *name, pid_t **out, size_t *count,
				     struct kioku_error *error)
{
	if (strcmp(name, "odd") != 0)
		return fail(error, KIOKU_ERROR_NOT_FOUND, "there is no process nobody");
	*out = malloc(sizeof(**out));
	**out = 7;
	*count = 1;
	return KIOKU_OK;
}

struct kioku_series {
	char unused;
};

struct kioku_series *kioku_series_new(void)
{
	return calloc(1, sizeof(struct kioku_series));
}

void kioku_series_free(struct kioku_series *series)
{
	free(series);
}

enum kioku_status kioku_series_open(const char *path, struct kioku_source **out,
				    struct kioku_error *error)
{
	return fail(error, KIOKU_ERROR_UNSUPPORTED, "it is no core of a series");
}

enum kioku_status kioku_process_tree(pid_t pid, pid_t **out, size_t *count,
				     struct kioku_error *error)
{
	*out = malloc(2 * sizeof(**out));
	(*out)[0] = pid;
	(*out)[1] = pid + 1;
	*count = 2;
	return KIOKU_OK;
}

enum kioku_status
kioku_process_predict(pid_t pid, struct kioku_snapshot_prediction out[KIOKU_SNAPSHOT_METHODS],
		      struct kioku_error *error)
{
	out[0] = (struct kioku_snapshot_prediction){ .method = KIOKU_SNAPSHOT_TRACK,
						     .possible = true,
						     .setup = 100000,
						     .stop = 250000,
						     .memory = 4096,
						     .delay = 700 };
	out[1] = (struct kioku_snapshot_prediction){ .method = KIOKU_SNAPSHOT_FORK,
						     .reason = "it has no code" };
	out[2] = (struct kioku_snapshot_prediction){ .method = KIOKU_SNAPSHOT_STOP,
						     .possible = true,
						     .stop = 1500000 };
	return KIOKU_OK;
}

enum kioku_status kioku_process_duplicate_all(const pid_t *pids, size_t count,
					      const struct kioku_snapshot_options *options,
					      struct kioku_process **out, struct kioku_error *error)
{
	if (pids[0] == 404)
		return fail(error, KIOKU_ERROR_NOT_FOUND, "there is no process 404");
	fprintf(stderr, "snapshot: method %d allow_stop %d max_stop %llu rate %llu exclude %d\n",
		options->method, options->allow_stop, (unsigned long long)options->max_stop,
		(unsigned long long)options->rate, options->exclude_files);
	for (size_t i = 0; i < options->area_count; i++)
		fprintf(stderr, "snapshot: area %s %llx %llx\n",
			options->areas[i].name ? options->areas[i].name : "-",
			(unsigned long long)options->areas[i].start,
			(unsigned long long)options->areas[i].end);
	for (size_t i = 0; i < count; i++) {
		out[i] = calloc(1, sizeof(**out));
		out[i]->summary = (struct kioku_process_summary){ .pid = pids[i],
								  .name = "o\x1b/d",
								  .method = KIOKU_SNAPSHOT_FORK,
								  .threads = 2,
								  .stop = 40000 };
	}
	return KIOKU_OK;
}

struct kioku_source *kioku_process_source(struct kioku_process *process)
{
	return &process->source;
}

struct kioku_process_summary kioku_process_summary(const struct kioku_process *process)
{
	return process->summary;
}

uint64_t kioku_process_longest_stop(const struct kioku_process_summary *summary)
{
	return summary->stop + summary->reap;
}

void kioku_process_let_go(struct kioku_process *process)
{
	process->summary.reap = 1000;
}

void kioku_process_release(struct kioku_process *process)
{
	free(process);
}

/* --- recovering */

enum kioku_status kioku_recover(struct kioku_kernel *kernel,
				const struct kioku_recover_options *options,
				struct kioku_recover_result *result, struct kioku_error *error)
{
	const struct kioku_missing missing = { .path = "tmpfs-0:21/evil\x1b",
					       .path_size = 16,
					       .start = 4096,
					       .end = 8192,
					       .reason = "swapped out" };

	const struct kioku_missing stale = { .path = "tmpfs-0:21/evil\x1b",
					     .path_size = 16,
					     .start = 8192,
					     .end = 12288,
					     .reason = "read from swap, may be stale",
					     .may_be_stale = true };

	*result = (struct kioku_recover_result){ .files = 2,
						 .missing_bytes = 4096,
						 .stale_bytes = 4096 };
	if (options->fstype && strcmp(options->fstype, "none") == 0)
		return fail(error, KIOKU_ERROR_REFUSED, "here has something in it");
	return options->missing(options->user, &missing) == KIOKU_OK &&
			       options->missing(options->user, &stale) == KIOKU_OK
		       ? KIOKU_OK
		       : fail(error, KIOKU_ERROR_STOPPED, "stopped");
}

/* --- serving */

enum kioku_status kioku_serve(struct kioku_source *source,
			      const struct kioku_serve_options *options,
			      struct kioku_serve_result *result, struct kioku_error *error)
{
	*result = (struct kioku_serve_result){ .requests = 3, .completions = 4, .outside = 1 };
	if (strcmp(options->nettlp, "nowhere") == 0)
		return fail(error, KIOKU_ERROR_ARGUMENT, "not an IPv4 address: \"nowhere\"");
	if (strcmp(options->nettlp, "192.0.2.1") == 0)
		return fail(error, KIOKU_ERROR_OS, "cannot listen at 192.0.2.1");
	options->event(options->user, options->nettlp);
	fprintf(stderr, "serve: tags %u id %x %x mps %u rcb %u iommu %d seed %llu split %d\n",
		options->tags, options->requester, options->completer, options->payload,
		options->boundary, options->iommu, (unsigned long long)options->seed,
		options->split);
	fprintf(stderr, "serve: %llu+%llu ns loss %g duplicate %g reorder %g\n",
		(unsigned long long)options->latency, (unsigned long long)options->jitter,
		options->loss, options->duplicate, options->reorder);
	fprintf(stderr, "serve: late %g by %llu error %g of %x corrupt %g of %x\n", options->late,
		(unsigned long long)options->late_delay, options->error, options->errors,
		options->corrupt, options->corruptions);
	fprintf(stderr, "serve: client %s ranges %s clock %d messages %d\n",
		options->client ? options->client : "", options->ranges ? options->ranges : "",
		!options->no_clock, !options->no_messages);
	return KIOKU_OK;
}
