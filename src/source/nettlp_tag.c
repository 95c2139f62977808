/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/nettlp_format.h"
#include "source/nettlp_tag.h"

/* A duplicate lags behind for no more uses of a tag than that, and no longer, in nanoseconds. */
#define RECENT_USES 8u
#define RECENT_TIME 20000000u

static unsigned key_of(uint64_t address, uint32_t size)
{
	uint64_t end = address + size, block = TLP_COMPLETION_BOUNDARY;
	unsigned kind = 0;

	if (address / block == (end - 1) / block && address % block >= 4)
		kind = (unsigned)((end + 3) / 4 - address / 4);
	return (unsigned)((end + 3) / 4 % NETTLP_ENDS) * NETTLP_KINDS + kind % NETTLP_KINDS;
}

static bool is_free(const struct nettlp_tag *tag, unsigned key, uint64_t now)
{
	bool is_recent = tag->used[key] && tag->uses - tag->used[key] < RECENT_USES &&
			 now - tag->used_at[key] < RECENT_TIME;

	return !is_recent && tag->quarantined[key] <= now;
}

uint32_t nettlp_tag_fit(const struct nettlp_tag *tag, uint64_t address, uint32_t size, uint64_t now)
{
	uint64_t end = address + size;

	while (end > address && !is_free(tag, key_of(address, (uint32_t)(end - address)), now))
		end = (end - 1) & ~3ull;
	return end > address ? (uint32_t)(end - address) : 0;
}

void nettlp_tag_use(struct nettlp_tag *tag, uint64_t address, uint32_t size, uint64_t now)
{
	unsigned key = key_of(address, size);

	tag->used[key] = ++tag->uses;
	tag->used_at[key] = now;
}

void nettlp_tag_quarantine(struct nettlp_tag *tag, uint64_t address, uint32_t size, uint64_t until)
{
	tag->quarantined[key_of(address, size)] = until;
}

bool nettlp_tag_is_clean(const struct nettlp_tag *tag, uint64_t now)
{
	for (unsigned key = 0; key < NETTLP_KEYS; key++)
		if (tag->quarantined[key] > now)
			return false;
	return true;
}
