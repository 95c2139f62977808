/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * history: what was typed into programs that use GNU History, as bash does. Each line is a HIST_ENTRY of three
 * pointers (line, timestamp, data: readline/history.h), and the timestamp a text, "#1700000000". These texts
 * are looked for in memory that a process can write to, then what points at them, then the array of the
 * entries, which has their order: no symbols of the program are needed, and no name is believed.
 */
#include <string.h>

#include "base/growing.h"
#include "view/process_views.h"

enum {
	STAMP_SIZE = 12, /* "#", ten digits, NUL: from 2001 to 2286 */
	LINE_LIMIT = 64 << 10,
	FOUND_LIMIT = 1 << 20, /* of a process; who writes that many hides something else */
};

static const struct record *const records[] = { &task_record, &memory_map_record, &vma_record,
						NULL };

static const struct kioku_column columns[] = {
	{ "pid", KIOKU_KIND_INTEGER, "process id, initial namespace", 0 },
	{ "comm", KIOKU_KIND_TEXT, "name, which the process can change", 0 },
	{ "time", KIOKU_KIND_TIME, "when it was entered, UTC, in whole seconds", 0 },
	{ "number", KIOKU_KIND_UNSIGNED, "in the list, from 1; none if it is in none any more", 0 },
	{ "command", KIOKU_KIND_TEXT, "the line", 0 },
	{ "entry", KIOKU_KIND_ADDRESS, "virtual address of the HIST_ENTRY", 1 },
};

struct stamp {
	uint64_t address;
	uint32_t seconds; /* since 1970 */
};

struct entry {
	uint64_t address, line;
	uint32_t seconds;
	uint64_t number; /* 0: in no list */
};

/* Pointers side by side. */
struct row {
	uint64_t start, count;
};

struct search {
	struct view_run *run;
	const struct process *process;
	const struct vma_list *mappings;
	struct stamp *stamps; /* ascending */
	size_t stamp_count, stamp_capacity;
	struct entry *entries; /* ascending, until they are ordered */
	size_t entry_count, entry_capacity;
	struct row row, list; /* that is being looked at, and the longest */
	bool is_full;         /* there is more than FOUND_LIMIT */
	bool has_losses;      /* in its page tables */
};

static void search_release(struct search *search)
{
	free(search->stamps);
	free(search->entries);
}

/* --- pages */

/* bytes: size of them, from address on, which is page-aligned. */
typedef enum kioku_status piece_fn(struct search *search, uint64_t address, const uint8_t *bytes,
				   size_t size);

/* Pages that lie side by side, so that what crosses from one into the next is whole. */
struct piece {
	struct search *search;
	piece_fn *look;
	uint8_t *bytes;
	uint64_t start;
	size_t size;
	uint64_t end; /* of the mapping */
};

enum { PIECE = 1 << 20, OVERLAP = 64 };

/* What is kept begins the next piece, if that follows. */
static enum kioku_status end_piece(struct piece *piece, bool goes_on)
{
	size_t kept = goes_on && piece->size > OVERLAP ? OVERLAP : 0;

	if (piece->size > 0)
		TRY(piece->look(piece->search, piece->start, piece->bytes, piece->size));
	memmove(piece->bytes, piece->bytes + piece->size - kept, kept);
	piece->start += piece->size - kept;
	piece->size = kept;
	return KIOKU_OK;
}

static enum kioku_status add_page(struct piece *piece, uint64_t page)
{
	if (piece->start + piece->size != page) {
		TRY(end_piece(piece, false));
		piece->start = page;
		piece->size = 0;
	}
	if (piece->size + PAGE_SIZE > PIECE)
		TRY(end_piece(piece, true));
	if (kioku_address_space_read(piece->search->process->space, page,
				     piece->bytes + piece->size, PAGE_SIZE, NULL) == KIOKU_OK)
		piece->size += PAGE_SIZE;
	return KIOKU_OK;
}

static enum kioku_status add_mapped(void *user, const struct mapping *mapping)
{
	struct piece *piece = user;
	uint64_t end = mapping->virtual + mapping->size;

	end = end < piece->end ? end : piece->end;
	for (uint64_t page = mapping->virtual; page < end; page += PAGE_SIZE)
		TRY(add_page(piece, page));
	return KIOKU_OK;
}

/* Swapped out, perhaps: reading tells. */
static enum kioku_status add_absent(void *user, uint64_t virtual, uint64_t size, uint64_t entry)
{
	const struct mapping mapping = { .virtual = virtual, .size = size };

	return add_mapped(user, &mapping);
}

static enum kioku_status look_through(struct search *search, piece_fn *look)
{
	AUTO_FREE uint8_t *bytes = malloc(PIECE);

	if (!bytes)
		return KIOKU_ERROR_NO_MEMORY;
	for (size_t i = 0; i < search->mappings->count; i++) {
		const struct vma *vma = &search->mappings->vmas[i];
		if (!(vma->flags & VMA_WRITE) || vma->file)
			continue;
		struct piece piece = {
			.search = search, .look = look, .bytes = bytes, .end = vma->end
		};
		struct address_walk walk = { .first = vma->start,
					     .last = vma->end - 1,
					     .receive = add_mapped,
					     .absent = add_absent,
					     .user = &piece };
		TRY(address_space_walk(search->process->space, &walk));
		search->has_losses |= walk.losses.tables || walk.losses.repeated;
		TRY(end_piece(&piece, false));
	}
	return KIOKU_OK;
}

/* --- timestamps */

static bool parse_stamp(const uint8_t *text, uint32_t *seconds)
{
	uint64_t value = 0;

	for (size_t i = 1; i < STAMP_SIZE - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*seconds = (uint32_t)value;
	return text[STAMP_SIZE - 1] == '\0' && value <= UINT32_MAX && text[1] != '0';
}

static enum kioku_status find_stamps(struct search *search, uint64_t address, const uint8_t *bytes,
				     size_t size)
{
	const uint8_t *end = bytes + size, *at = bytes;
	uint32_t seconds;

	for (; (at = memchr(at, '#', (size_t)(end - at))); at++) {
		if (end - at < STAMP_SIZE)
			break;
		uint64_t place = address + (uint64_t)(at - bytes);
		bool known = search->stamp_count > 0 &&
			     search->stamps[search->stamp_count - 1].address >= place;
		if (known || !parse_stamp(at, &seconds))
			continue;
		search->is_full |= search->stamp_count == FOUND_LIMIT;
		if (search->is_full)
			break;
		if (!GROW(search->stamps, search->stamp_count, search->stamp_capacity))
			return KIOKU_ERROR_NO_MEMORY;
		search->stamps[search->stamp_count++] = (struct stamp){ place, seconds };
	}
	return KIOKU_OK;
}

/* --- entries */

static int compare_stamp(const void *key, const void *element)
{
	uint64_t address = *(const uint64_t *)key;
	const struct stamp *stamp = element;

	return address < stamp->address ? -1 : address > stamp->address;
}
/* The pointer before that to a timestamp is that to the line. */
static enum kioku_status find_entries(struct search *search, uint64_t address, const uint8_t *bytes,
				      size_t size)
{
	for (size_t at = 0; at + 16 <= size; at += 8) {
		uint64_t line = load_le64(bytes + at), pointer = load_le64(bytes + at + 8);
		if (pointer < search->stamps[0].address ||
		    pointer > search->stamps[search->stamp_count - 1].address)
			continue;
		const struct stamp *stamp = bsearch(&pointer, search->stamps, search->stamp_count,
						    sizeof(*stamp), compare_stamp);
		bool known = search->entry_count > 0 &&
			     search->entries[search->entry_count - 1].address >= address + at;
		if (!stamp || known || !line || line >> 47)
			continue;
		if (search->entry_count == FOUND_LIMIT) {
			search->is_full = true;
			break;
		}
		if (!GROW(search->entries, search->entry_count, search->entry_capacity))
			return KIOKU_ERROR_NO_MEMORY;
		search->entries[search->entry_count++] = (struct entry){
			.address = address + at, .line = line, .seconds = stamp->seconds
		};
	}
	return KIOKU_OK;
}

/* --- the list */

static int compare_entry(const void *key, const void *element)
{
	uint64_t address = *(const uint64_t *)key;
	const struct entry *entry = element;

	return address < entry->address ? -1 : address > entry->address;
}

static struct entry *entry_at(const struct search *search, uint64_t address)
{
	return bsearch(&address, search->entries, search->entry_count, sizeof(*search->entries),
		       compare_entry);
}

/* Pointers to entries, one after the other: the longest such row is the list. */
static enum kioku_status find_list(struct search *search, uint64_t address, const uint8_t *bytes,
				   size_t size)
{
	struct row *row = &search->row;

	for (size_t at = 0; at + 8 <= size; at += 8) {
		uint64_t place = address + at, end = row->start + 8 * row->count;
		/* Pieces overlap. */
		if (row->count > 0 && place < end && place >= row->start)
			continue;
		if (!entry_at(search, load_le64(bytes + at))) {
			row->count = 0;
			continue;
		}
		if (row->count == 0 || place != end)
			*row = (struct row){ .start = place };
		row->count++;
		if (row->count > search->list.count)
			search->list = *row;
	}
	return KIOKU_OK;
}

static void number_entries(struct search *search)
{
	uint8_t raw[8];

	for (uint64_t i = 0; i < search->list.count; i++) {
		if (kioku_address_space_read(search->process->space, search->list.start + 8 * i,
					     raw, sizeof(raw), NULL) != KIOKU_OK)
			return;
		struct entry *entry = entry_at(search, load_le64(raw));
		if (entry)
			entry->number = i + 1;
	}
}

static int compare_order(const void *left, const void *right)
{
	const struct entry *one = left, *other = right;

	if (one->number != other->number && one->number && other->number)
		return one->number < other->number ? -1 : 1;
	if (one->seconds != other->seconds)
		return one->seconds < other->seconds ? -1 : 1;
	return one->address < other->address ? -1 : one->address > other->address;
}

/* --- rows */

/* A text of the process, without its NUL, into out; as far as it is in memory. */
static enum kioku_status read_line(const struct search *search, uint64_t address, char *out,
				   size_t *size)
{
	for (*size = 0; *size < LINE_LIMIT;) {
		size_t part = PAGE_SIZE - (address + *size) % PAGE_SIZE;
		part = part < LINE_LIMIT - *size ? part : LINE_LIMIT - *size;
		TRY(kioku_address_space_read(search->process->space, address + *size, out + *size,
					     part, NULL));
		const char *end = memchr(out + *size, 0, part);
		*size = end ? (size_t)(end - out) : *size + part;
		if (end)
			return KIOKU_OK;
	}
	return KIOKU_ERROR_CORRUPT;
}

static enum kioku_status give_entry(const struct search *search, const struct entry *entry,
				    char *line)
{
	size_t size;
	enum kioku_status status = read_line(search, entry->line, line, &size);

	/* What is in no list was freed, and may be anything by now. */
	if (!entry->number && (status != KIOKU_OK || size == 0))
		return KIOKU_OK;
	if (status != KIOKU_OK)
		diagnose(&search->run->kernel->diagnostics, KIOKU_GAP,
			 "process %d: line %llu of its history: %s", search->process->task->tgid,
			 (unsigned long long)entry->number, kioku_status_name(status));
	const struct kioku_cell cells[] = {
		cell_integer(search->process->task->tgid),
		process_comm(search->process),
		cell_integer((int64_t)entry->seconds * 1000000000),
		entry->number ? cell_number(entry->number) : cell_absent(KIOKU_CELL_NOT_APPLICABLE),
		status == KIOKU_OK ? cell_text(line, size) : cell_absent(presence_of(status)),
		cell_number(entry->address),
	};
	return view_row(search->run, cells);
}

static enum kioku_status give_entries(struct search *search)
{
	AUTO_FREE char *line = malloc(LINE_LIMIT);

	if (!line)
		return KIOKU_ERROR_NO_MEMORY;
	qsort(search->entries, search->entry_count, sizeof(*search->entries), compare_order);
	for (size_t i = 0; i < search->entry_count; i++)
		TRY(give_entry(search, &search->entries[i], line));
	return KIOKU_OK;
}

static void report_losses(const struct search *search)
{
	const struct diagnostics *diagnostics = &search->run->kernel->diagnostics;
	int32_t pid = search->process->task->tgid;

	if (search->is_full)
		diagnose(diagnostics, KIOKU_GAP,
			 "process %d: only the first %d of what looks like timestamps were looked "
			 "at",
			 pid, FOUND_LIMIT);
	if (search->has_losses)
		diagnose(diagnostics, KIOKU_GAP,
			 "process %d: page tables are lost, and lines with them", pid);
}

static enum kioku_status give_process(struct view_run *run, const struct process *process)
{
	AUTO_VMA_LIST struct vma_list list;
	CLEANUP(search_release)
	struct search search = { .run = run, .process = process, .mappings = &list };

	TRY(memory_map_list(run->kernel, &process->map, process->task->tgid, &list, NULL));
	TRY(look_through(&search, find_stamps));
	if (search.stamp_count > 0)
		TRY(look_through(&search, find_entries));
	report_losses(&search);
	if (search.entry_count == 0)
		return KIOKU_OK;
	TRY(look_through(&search, find_list));
	number_entries(&search);
	return give_entries(&search);
}

static enum kioku_status run_history(struct view_run *run, struct kioku_error *error)
{
	return view_each_process(run, give_process, error);
}

const struct kioku_view history_view = {
	.name = "history",
	.help = "lines typed into bash, and into others that use GNU History",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID,
	.needs_tasks = true,
	.records = records,
	.run = run_history,
};
