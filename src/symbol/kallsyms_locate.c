/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding kallsyms by structure, never by kernel version: distributions backport (Debian 6.1.192
 * has the seqs table of 6.2). All known kernels agree on this much: the digits are in the token
 * table, the token index follows it, and num_syms, names and markers lie in this order before it.
 */
#include "format/vmcoreinfo_format.h"
#include "symbol/kallsyms_tables.h"

#define SEARCH_CHUNK     (64u << 10)
#define TABLE_LIMIT      (16u << 10) /* the token table; about 1 KiB in every known kernel */
#define SEQS_LIMIT       (4u << 20)  /* what may lie between markers and token table */
#define CLEAN_RUN        8           /* undamaged markers in a row that give the table away */
#define SKIP_LIMIT       4           /* damaged markers in a row that do not end it */
#define GROUPS_LOOKED_AT 8           /* for one good one */
#define COUNT_MINIMUM    ((CLEAN_RUN - 1) * KALLSYMS_GROUP + 1)
#define COUNT_LIMIT      (8u << 20)
/* Steps of a few nanoseconds: a bound for images that are made of look-alikes. */
#define SEARCH_BUDGET (1ull << 28)

struct search {
	struct window *window;
	struct kallsyms_tokens tokens;
	struct kallsyms_layout layout; /* as far as it is known */
	uint64_t budget;
};

/* False once the budget is used up: then every loop ends. */
static bool spend(struct search *search, uint64_t steps)
{
	search->budget = search->budget > steps ? search->budget - steps : 0;
	return search->budget > 0;
}

/* Markers as far as they could be followed in both directions. */
struct marker_run {
	unsigned size;        /* of one marker */
	uint64_t first, last; /* offsets in the window of the first and the last good one */
	uint64_t first_value, last_value;
	uint64_t clean_offset,
		clean_value; /* of the CLEAN_RUN's first: only its last may deceive */
};

static uint64_t marker_at(const struct window *window, uint64_t offset, unsigned size)
{
	return size == 8 ? load_le64(window->data + offset) : load_le32(window->data + offset);
}

/* Whether two markers may be that many groups apart. */
static bool plausible_step(uint64_t low, uint64_t high, unsigned groups)
{
	return high > low && high - low >= (uint64_t)groups * KALLSYMS_GROUP_MINIMUM &&
	       high - low <= (uint64_t)groups * KALLSYMS_GROUP_LIMIT;
}

static bool clean_run_at(const struct window *window, uint64_t offset, unsigned size)
{
	for (unsigned i = 0; i + 1 < CLEAN_RUN; i++)
		if (!plausible_step(marker_at(window, offset + i * size, size),
				    marker_at(window, offset + (i + 1) * size, size), 1))
			return false;
	return true;
}

/* Follows markers from a clean run to both sides, over single damaged ones. */
static void extend_run(struct window *window, uint64_t offset, unsigned size, uint64_t end,
		       struct marker_run *run)
{
	run->size = size;
	run->first = offset;
	run->first_value = marker_at(window, offset, size);
	run->last = offset + (CLEAN_RUN - 1) * size;
	run->last_value = marker_at(window, run->last, size);
	run->clean_offset = offset;
	run->clean_value = run->first_value;

	for (unsigned skip = 1; skip <= SKIP_LIMIT && run->first_value > 0;) {
		uint64_t distance = (uint64_t)skip * size;
		if (run->first < distance || !window_need(window, run->first - distance, size))
			break;
		uint64_t value = marker_at(window, run->first - distance, size);
		if (!plausible_step(value, run->first_value, skip)) {
			skip++;
			continue;
		}
		run->first -= distance;
		run->first_value = value;
		skip = 1;
	}
	for (unsigned skip = 1; skip <= SKIP_LIMIT;) {
		uint64_t distance = (uint64_t)skip * size;
		if (end - run->last < distance + size ||
		    !window_need(window, run->last + distance, size))
			break;
		uint64_t value = marker_at(window, run->last + distance, size);
		if (!plausible_step(run->last_value, value, skip)) {
			skip++;
			continue;
		}
		run->last += distance;
		run->last_value = value;
		skip = 1;
	}
}

/*
 * num_syms lies before the names: at once since v7.0 (4-byte alignment), as a u64 before v4.20, in
 * between as a u32 and 4 bytes of padding.
 */
static bool count_before(struct window *window, uint64_t names, uint32_t *count, uint64_t *offset)
{
	if (names < 8)
		return false;
	uint32_t near = load_le32(window->data + names - 4);
	*offset = near ? names - 4 : names - 8;
	*count = near ? near : load_le32(window->data + names - 8);
	return *count >= COUNT_MINIMUM && *count <= COUNT_LIMIT;
}

/* Whether names really start there: a good part of the groups must agree with the markers. */
static bool prove_names(struct search *search)
{
	struct kallsyms_layout *layout = &search->layout;
	uint32_t groups = kallsyms_groups(layout);
	uint32_t good[2];

	/* A quick look at a few before all of them. */
	for (uint32_t stride = groups / 16 ? groups / 16 : 1;; stride = 1) {
		uint32_t looked = 0;
		good[0] = good[1] = 0;
		for (uint32_t i = 0; i < groups; i += stride, looked++) {
			/* Most of what is looked at is not even like names, and ends at once. */
			if ((looked >= GROUPS_LOOKED_AT && good[0] + good[1] == 0) ||
			    !spend(search, good[0] + good[1] ? KALLSYMS_GROUP : 16))
				return false;
			for (unsigned j = 0; j < 2; j++) {
				layout->lengths =
					j ? KALLSYMS_LENGTH_ULEB128 : KALLSYMS_LENGTH_BYTE;
				good[j] += kallsyms_group_holds(search->window, layout,
								&search->tokens, i, 1);
			}
		}
		/* By chance, next to none would be good. */
		if ((good[0] > good[1] ? good[0] : good[1]) < looked / (stride == 1 ? 2 : 4))
			return false;
		if (stride == 1)
			break;
	}
	layout->lengths = good[0] > good[1] ? KALLSYMS_LENGTH_BYTE : KALLSYMS_LENGTH_ULEB128;
	return true;
}

/*
 * Markers that are taken for the ones beside them agree with the names as well, and give every
 * symbol the address of another. So the first group or the last one must be where it belongs, or
 * at least the markers begin as they should.
 */
static bool anchored(const struct search *search)
{
	const struct kallsyms_layout *layout = &search->layout;
	const uint8_t *markers = search->window->data + layout->markers;
	uint64_t first = layout->marker_size == 8 ? load_le64(markers) : load_le32(markers);

	if (first == 0 && plausible_step(0, kallsyms_marker(search->window, layout, 1), 1))
		return true;
	for (unsigned span = 1; span <= SKIP_LIMIT; span++)
		if (kallsyms_group_holds(search->window, layout, &search->tokens, 0, span) ||
		    kallsyms_group_holds(search->window, layout, &search->tokens,
					 kallsyms_groups(layout) - span, span))
			return true;
	return false;
}

/* Looks for the start of the names, whose markers are at layout.markers. */
static bool find_names(struct search *search, const struct marker_run *run)
{
	struct kallsyms_layout *layout = &search->layout;
	uint64_t markers = layout->markers;
	uint64_t least = run->clean_value + 2;
	/* The table may go on after damage that the run did not get past. */
	uint64_t most = run->last_value + 2 * SKIP_LIMIT * (uint64_t)KALLSYMS_GROUP_LIMIT;
	uint64_t known = (run->clean_offset - markers) / run->size;

	if (markers < least + 8)
		return false;
	uint64_t lowest = markers > most + 8 ? markers - most : 8;
	window_need(search->window, lowest - 8, markers - lowest + 8);
	for (uint64_t names = (markers - least) & ~3ull; names >= lowest; names -= 4) {
		if (!spend(search, 1))
			return false;
		layout->names = names;
		if (!count_before(search->window, names, &layout->count, &layout->num_syms))
			continue;
		uint64_t groups = kallsyms_groups(layout);
		if (groups <= known || groups * run->size > layout->token_table - markers)
			continue;
		if (prove_names(search) && anchored(search) &&
		    kallsyms_find_addresses(search->window, layout))
			return true;
	}
	return false;
}

/*
 * The first marker is 0. Where it is damaged, it may be a few before the first good one, or the one
 * behind it if what was taken for it is padding.
 */
static bool try_run(struct search *search, const struct marker_run *run)
{
	search->layout.marker_size = run->size;
	for (unsigned i = 0; i <= SKIP_LIMIT && run->first >= i * run->size; i++) {
		search->layout.markers = run->first - i * run->size;
		if (find_names(search, run))
			return true;
	}
	search->layout.markers = run->first + run->size;
	return find_names(search, run);
}

/* From the token table backwards over what may lie in between (seqs_of_names, v6.2 and v6.3). */
static bool find_markers(struct search *search)
{
	static const unsigned sizes[] = { 4, 8 };
	struct window *window = search->window;
	uint64_t end = search->layout.token_table;
	uint64_t lowest = end > SEQS_LIMIT ? end - SEQS_LIMIT : 0;
	struct marker_run tried = { 0 };

	for (uint64_t at = end & ~3ull; at >= lowest + 4;) {
		at -= 4;
		/* A page at a time; a run may reach over its end, never over the token table. */
		if (at % 4096 == 4092 || at + 4 == (end & ~3ull))
			window_need(window, at & ~4095ull, at + 4 - (at & ~4095ull));
		if (!spend(search, 1))
			return false;
		for (unsigned i = 0; i < 2; i++) {
			struct marker_run run;
			if (end - at < CLEAN_RUN * sizes[i] || !clean_run_at(window, at, sizes[i]))
				continue;
			extend_run(window, at, sizes[i], end, &run);
			if (run.first == tried.first && run.last == tried.last)
				continue;
			if (try_run(search, &run))
				return true;
			tried = run;
		}
	}
	return false;
}

/* Proves what may be a token table: the digits are at this offset. */
static bool try_digits(struct search *search, uint64_t digits)
{
	struct window *window = search->window;
	uint64_t limit = window->size - digits < TABLE_LIMIT ? window->size : digits + TABLE_LIMIT;
	uint64_t at = (digits + sizeof(KALLSYMS_DIGITS) + 3) & ~3ull;

	for (; at + 2 * KALLSYMS_TOKENS <= limit && spend(search, 1); at += 4) {
		struct bytes index, table;
		uint32_t size, digits_offset;
		if (!window_bytes(window, at, 2 * KALLSYMS_TOKENS, &index) ||
		    !kallsyms_index_matches(index, &size, &digits_offset) || digits_offset > digits)
			continue;
		uint64_t start = digits - digits_offset;
		/* The table ends in its last token and some padding. */
		if (at <= start || at - start < size ||
		    at - start > size + KALLSYMS_TOKEN_LIMIT + 8 ||
		    !window_bytes(window, start, at - start, &table) ||
		    !kallsyms_tokens_decode(table, index, &search->tokens))
			continue;
		search->layout = (struct kallsyms_layout){
			.token_table = start,
			.token_index = at,
			.token_table_size = (uint32_t)table.size,
		};
		return find_markers(search);
	}
	return false;
}

/* The last place in [start, end) where the digits are, or false. */
static bool last_digits(const struct window *window, uint64_t start, uint64_t end, uint64_t *out)
{
	const uint8_t *at = window->data + start;
	const uint8_t *stop = window->data + end;
	bool found = false;

	while ((at = memmem(at, (size_t)(stop - at), KALLSYMS_DIGITS, sizeof(KALLSYMS_DIGITS)))) {
		*out = (uint64_t)(at - window->data);
		found = true;
		at++;
	}
	return found;
}

/* All places in [start, end), the last one first. */
static bool try_stretch(struct search *search, uint64_t start, uint64_t end)
{
	uint64_t digits = 0;

	window_need(search->window, start, end - start);
	while (spend(search, (end - start) / 16) &&
	       last_digits(search->window, start, end, &digits)) {
		if (try_digits(search, digits))
			return true;
		end = digits + sizeof(KALLSYMS_DIGITS) - 1;
	}
	return false;
}

static bool try_hint(struct search *search, const struct kallsyms_hint *hint)
{
	struct window *window = search->window;
	uint64_t table = hint->token_table - window->virtual_start;

	if (!hint->token_table || !window->virtual_start || table >= window->size)
		return false;
	uint64_t left = window->size - table;
	return try_stretch(search, table, table + (left < TABLE_LIMIT ? left : TABLE_LIMIT));
}

bool kallsyms_locate(struct window *window, const struct kallsyms_hint *hint,
		     struct kallsyms_layout *out, const struct diagnostics *diagnostics)
{
	struct search search = { .window = window, .budget = SEARCH_BUDGET };
	bool found = hint && try_hint(&search, hint);

	/* Forwards: the tables come before types and unwinding data, which are larger than they are. */
	for (uint64_t start = 0; !found && start < window->size; start += SEARCH_CHUNK) {
		uint64_t reach = SEARCH_CHUNK + sizeof(KALLSYMS_DIGITS) - 1;
		uint64_t left = window->size - start;
		found = try_stretch(&search, start, start + (left < reach ? left : reach));
	}
	if (!found && search.budget == 0)
		diagnose(diagnostics, KIOKU_WARNING,
			 "kallsyms: gave up; too much looks like its tables and is not");
	*out = search.layout;
	return found;
}

bool kallsyms_hint_from_vmcoreinfo(struct bytes text, struct kallsyms_hint *out)
{
	*out = (struct kallsyms_hint){ 0 };
	vmcoreinfo_hex(text, "SYMBOL(kallsyms_token_index)", &out->token_index);
	return vmcoreinfo_hex(text, "SYMBOL(kallsyms_token_table)", &out->token_table);
}
