/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/growing.h"
#include "search/process_scan.h"
#include "source/source.h"
#include "view/owner_cells.h"

#define CHUNK   (16u << 20)
#define OVERLAP (64u << 10)

static const struct record *const records[] = { &task_record, &memory_map_record, &vma_record,
						NULL };

enum column {
	PID,
	COMM,
	RULE,
	NAMESPACE,
	TAGS,
	STRING,
	VIRTUAL,
	PHYSICAL,
	SIZE,
	DATA,
	META,
	OWNER,
	NAME,
	USERS,
	USER_COUNT
};

static const struct kioku_column columns[] = {
	{ "pid", KIOKU_KIND_INTEGER, "of the process, or of the first one that maps it", 0 },
	{ "comm", KIOKU_KIND_TEXT, "that one's name, which the process can change", 0 },
	{ "rule", KIOKU_KIND_TEXT, "that is true", 0 },
	{ "namespace", KIOKU_KIND_TEXT, "of the rule", 1 },
	{ "tags", KIOKU_KIND_TEXTS, "of the rule", 1 },
	{ "string", KIOKU_KIND_TEXT, "of the rule, that was found", 0 },
	{ "virtual", KIOKU_KIND_ADDRESS, "where that process has it, or else the kernel", 0 },
	{ "physical", KIOKU_KIND_ADDRESS, "where in memory its first byte is", 0 },
	{ "size", KIOKU_KIND_UNSIGNED, "bytes that matched", 1 },
	{ "data", KIOKU_KIND_TEXT, "the first of these bytes", 0 },
	{ "meta", KIOKU_KIND_TEXTS, "what the rule says of itself, as NAME=VALUE", 1 },
	OWNER_COLUMN_KIND,
	OWNER_COLUMN_NAME,
	OWNER_COLUMN_USERS,
	OWNER_COLUMN_USER_COUNT,
};

enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

struct listing {
	struct view_run *run;
	struct rules *rules;
	struct owner_cells owners;
	struct scanned_process *processes;
	size_t count, capacity;
	uint64_t total, lost; /* bytes */

	/* In physical memory. */
	uint64_t at;   /* the next byte to be read */
	uint64_t left; /* of its stretch; 0: it is to be looked for */
	uint64_t done;
	uint8_t *buffer;
};

static void listing_free(struct listing *listing)
{
	if (!listing)
		return;
	for (size_t i = 0; i < listing->count; i++)
		process_blocks_close(&listing->processes[i].blocks);
	free(listing->processes);
	owner_cells_release(&listing->owners);
	rules_release(listing->rules);
	free(listing->buffer);
	free(listing);
}
DEFINE_CLEANUP(listing, struct listing, listing_free)

static void fill_match(const struct rule_match *match, struct kioku_cell *cells)
{
	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	cells[RULE] = cell_text(match->rule, strlen(match->rule));
	cells[NAMESPACE] = cell_text(match->namespace, strlen(match->namespace));
	cells[TAGS] = cell_text(match->tags, match->tags_size);
	cells[META] = cell_text(match->meta, match->meta_size);
	if (!match->string)
		return;
	cells[STRING] = cell_text(match->string, strlen(match->string));
	cells[SIZE] = cell_number(match->size);
	cells[DATA] = cell_text((const char *)match->data, match->data_size);
}

static void fill_owner(struct listing *listing, bool is_process, struct kioku_cell *cells)
{
	struct kioku_cell all[OWNER_CELLS];

	if (!listing->owners.is_open || cells[PHYSICAL].presence != KIOKU_CELL_PRESENT)
		return;
	owner_cells_fill(&listing->owners, cells[PHYSICAL].value.number, all);
	cells[OWNER] = all[OWNER_KIND];
	cells[NAME] = all[OWNER_NAME];
	cells[USERS] = all[OWNER_USERS];
	cells[USER_COUNT] = all[OWNER_USER_COUNT];
	if (is_process)
		return;
	cells[PID] = all[OWNER_PID];
	cells[COMM] = all[OWNER_COMM];
	cells[VIRTUAL] = all[OWNER_VIRTUAL];
}

static void progress(void *user, uint64_t done)
{
	const struct listing *listing = user;
	const struct kioku_view_options *options = &listing->run->options;

	if (options->progress)
		options->progress(options->progress_user, done, listing->total, listing->lost);
}

/* --- processes */

static enum kioku_status give_of_process(void *user, struct scanned_process *process,
					 const struct rule_match *match)
{
	struct listing *listing = user;
	const struct task *task = &process->task;
	struct kioku_cell cells[COLUMNS];
	uint64_t physical, contiguous;

	fill_match(match, cells);
	cells[PID] = cell_integer(task->tgid);
	cells[COMM] = cell_text(task->comm, strnlen(task->comm, sizeof(task->comm)));
	if (match->string) {
		cells[VIRTUAL] = cell_number(match->address);
		if (address_space_locate(process->blocks.space, match->address, &physical,
					 &contiguous, NULL) == KIOKU_OK)
			cells[PHYSICAL] = cell_number(physical);
	}
	fill_owner(listing, true, cells);
	return view_row(listing->run, cells);
}

static enum kioku_status add_process(void *user, const struct task *task)
{
	struct listing *listing = user;
	struct kioku_kernel *kernel = listing->run->kernel;
	struct kioku_error error = { 0 };

	if (!view_wants_pid(listing->run, task->tgid) || !task_has_memory(task))
		return KIOKU_OK;
	if (!GROW(listing->processes, listing->count, listing->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	struct scanned_process *process = &listing->processes[listing->count];
	process->task = *task;
	enum kioku_status status = process_blocks_open(kernel, task, &process->blocks, &error);
	if (status == KIOKU_OK) {
		listing->count++;
		listing->total += process->blocks.bytes;
		return KIOKU_OK;
	}
	process_blocks_close(&process->blocks);
	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	diagnose(&kernel->diagnostics, KIOKU_GAP, "process %d: %s", task->tgid, error.message);
	return KIOKU_OK;
}

static enum kioku_status scan_processes(struct listing *listing, struct kioku_error *error)
{
	struct kioku_kernel *kernel = listing->run->kernel;

	TRY(task_each_process(kernel, TASK_IDENTITY | TASK_MEMBERS, add_process, listing, error));
	struct process_scan scan = {
		.kernel = kernel,
		.rules = listing->rules,
		.processes = listing->processes,
		.count = listing->count,
		.receive = give_of_process,
		.progress = progress,
		.user = listing,
	};
	return process_scan_run(&scan, error);
}

/* --- physical memory */

/* What of a stretch can be had in a row, at most a chunk. Moves on behind it, but for the overlap. */
static size_t read_chunk(struct listing *listing, const uint8_t **data)
{
	struct kioku_source *source = listing->run->kernel->source;
	size_t wanted = listing->left < CHUNK ? (size_t)listing->left : CHUNK, size = wanted;
	struct bytes run;

	*data = listing->buffer;
	if (source_map(source, listing->at, wanted, &run) && run.size >= wanted) {
		*data = run.data;
	} else if (kioku_source_read(source, listing->at, listing->buffer, wanted, NULL) !=
		   KIOKU_OK) {
		for (size = 0; size < wanted; size += PAGE_SIZE) {
			size_t step = wanted - size < PAGE_SIZE ? wanted - size : PAGE_SIZE;
			if (kioku_source_read(source, listing->at + size, listing->buffer + size,
					      step, NULL) != KIOKU_OK)
				break;
		}
		size = size < wanted ? size : wanted;
	}
	size_t step = size == CHUNK && listing->left > CHUNK ? CHUNK - OVERLAP : size;
	if (step == 0) {
		step = listing->left < PAGE_SIZE ? (size_t)listing->left : PAGE_SIZE;
		listing->lost += step;
	}
	listing->at += step;
	listing->left -= step;
	listing->done += step;
	return size;
}

static bool next_block(void *user, struct rule_block *out)
{
	struct listing *listing = user;
	struct kioku_source *source = listing->run->kernel->source;

	progress(listing, listing->done);
	for (;;) {
		if (listing->left == 0)
			listing->left = source_next_data(source, &listing->at, source_end(source));
		if (listing->left == 0)
			return false;
		out->address = listing->at;
		out->size = read_chunk(listing, &out->data);
		if (out->size > 0)
			return true;
	}
}

static enum kioku_status give_of_memory(void *user, const struct rule_match *match)
{
	struct listing *listing = user;
	struct kioku_cell cells[COLUMNS];

	fill_match(match, cells);
	if (match->string)
		cells[PHYSICAL] = cell_number(match->address);
	fill_owner(listing, false, cells);
	return view_row(listing->run, cells);
}

static enum kioku_status scan_memory(struct listing *listing, struct kioku_error *error)
{
	struct kioku_kernel *kernel = listing->run->kernel;
	struct rule_scan scan = { .next = next_block, .receive = give_of_memory, .user = listing };
	uint64_t size, end = source_end(kernel->source);

	listing->buffer = malloc(CHUNK);
	if (!listing->buffer)
		return error_no_memory(error);
	for (uint64_t at = 0; (size = source_next_data(kernel->source, &at, end)); at += size)
		listing->total += size;
	TRY(rules_scan(listing->rules, &scan, error));
	if (listing->lost)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "yara: %llu bytes of memory could not be read",
			 (unsigned long long)listing->lost);
	if (scan.too_many)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "yara: a string is there too often, not all places of it are listed");
	return KIOKU_OK;
}

static enum kioku_status run_yara(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(cleanup_listing) struct listing *listing = calloc(1, sizeof(*listing));
	bool with_owners = false;

	if (!listing)
		return error_no_memory(error);
	listing->run = run;
	if (!run->options.rules)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "which rules? --rules FILE");
	if (run->options.physical && run->options.pid_count > 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "either all memory, or that of processes");
	TRY(rules_compile(run->options.rules, &listing->rules, error));
	for (size_t i = OWNER; i <= USER_COUNT; i++)
		with_owners |= view_wants_column(run, i);
	for (size_t i = PID; i <= VIRTUAL && run->options.physical; i++)
		if (i == PID || i == COMM || i == VIRTUAL)
			with_owners |= view_wants_column(run, i);
	if (with_owners)
		TRY(owner_cells_open(&listing->owners, run->kernel, error));
	return run->options.physical ? scan_memory(listing, error) : scan_processes(listing, error);
}

const struct kioku_view yara_view = {
	.name = "yara",
	.help = "what YARA rules find in the memory of processes, or in all memory",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_RULES,
	.needs_tasks = true,
	.records = records,
	.run = run_yara,
};
