/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/nettlp_format.h"
#include "source/nettlp_tag.h"

/*
 * A duplicate lags behind for no more uses of a tag than that. There are more ends, or kinds, to choose
 * from for any request; but not where only ends count, so that it has to be a matter of time there.
 */
#define RECENT_USES       8u
#define RECENT_LOOSE_TIME 20000000u /* nanoseconds */

#define BLOCK             ((uint64_t)TLP_COMPLETION_BOUNDARY)

static unsigned key_of(uint64_t address, uint64_t end)
{
	unsigned kind = 0;

	if (address / BLOCK == (end - 1) / BLOCK && address % BLOCK >= 4)
		kind = (unsigned)((end + 3) / 4 - address / 4);
	return (unsigned)((end + 3) / 4 % NETTLP_ENDS) * NETTLP_KINDS + kind % NETTLP_KINDS;
}

static bool is_key_free(const struct nettlp_tag *tag, unsigned key, uint64_t now, bool is_loose)
{
	bool is_recent = tag->used[key] && tag->uses - tag->used[key] < RECENT_USES &&
			 (!is_loose || now - tag->used_at[key] < RECENT_LOOSE_TIME);

	return !is_recent && tag->quarantined[key] <= now;
}

static bool is_free(const struct nettlp_tag *tag, uint64_t start, uint64_t end, uint64_t now,
		    bool is_loose)
{
	unsigned key = key_of(start, end), first = key - key % NETTLP_KINDS;

	if (!is_loose)
		return is_key_free(tag, key, now, false);
	for (unsigned kind = 0; kind < NETTLP_KINDS; kind++)
		if (!is_key_free(tag, first + kind, now, true))
			return false;
	return true;
}

/* The first of the ends from end to last, and of the starts from start back to first, that is free. */
static bool widen(const struct nettlp_tag *tag, uint64_t *start, uint64_t *end, uint64_t first,
		  uint64_t last, uint64_t now, bool is_loose)
{
	for (uint64_t from = *start; from <= *start; from = (from - 1) & ~3ull) {
		for (uint64_t to = *end; to <= last; to = (to & ~3ull) + 4) {
			if (!is_free(tag, from, to, now, is_loose))
				continue;
			*start = from;
			*end = to;
			return true;
		}
		if (from <= first)
			break;
	}
	return false;
}

struct nettlp_ask nettlp_tag_fit(const struct nettlp_tag *tag, const struct nettlp_ask *wanted,
				 uint32_t limit, uint64_t now, bool is_loose)
{
	uint64_t start = wanted->address, end = start + wanted->size;
	uint64_t last = (end + BLOCK - 1) & ~(BLOCK - 1), first = start;

	if (last - (start & ~(BLOCK - 1)) == BLOCK)
		first = start & ~(BLOCK - 1);
	if (last > first + limit)
		last = first + limit;
	if (last < end || !widen(tag, &start, &end, first, last, now, is_loose))
		while (end > start && !is_free(tag, start, end, now, is_loose))
			end = (end - 1) & ~3ull;
	return (struct nettlp_ask){ start, end > start ? (uint32_t)(end - start) : 0 };
}

void nettlp_tag_use(struct nettlp_tag *tag, const struct nettlp_ask *ask, uint64_t now)
{
	unsigned key = key_of(ask->address, ask->address + ask->size);

	tag->used[key] = ++tag->uses;
	tag->used_at[key] = now;
}

void nettlp_tag_quarantine(struct nettlp_tag *tag, const struct nettlp_ask *ask, uint64_t until)
{
	tag->quarantined[key_of(ask->address, ask->address + ask->size)] = until;
}

bool nettlp_tag_is_clean(const struct nettlp_tag *tag, uint64_t now)
{
	for (unsigned key = 0; key < NETTLP_KEYS; key++)
		if (tag->quarantined[key] > now)
			return false;
	return true;
}
