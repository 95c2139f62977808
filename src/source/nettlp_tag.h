/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tag is 8 bits, and all that tells a completion's request. One that comes late, when its tag has
 * been given to another request, would be taken for that one's. But a completion also carries the last
 * 7 bits of its address and how many bytes remain: their sum is where its request ends, modulo 128.
 * So a tag is used again at once, and only for requests that end elsewhere than those whose completions
 * may still be under way: what is in quarantine is not the tag, but the tag with that end.
 */
#ifndef SOURCE_NETTLP_TAG_H
#define SOURCE_NETTLP_TAG_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Ends, in words of 4 bytes modulo 128, times kinds: a request that lies in one block of 64 bytes, and
 * does not begin with it, is answered by one completion, whose byte count is its size, as no other
 * completion's is; all other requests are of one kind.
 */
#define NETTLP_ENDS  32u
#define NETTLP_KINDS 16u
#define NETTLP_KEYS  (NETTLP_ENDS * NETTLP_KINDS)

struct nettlp_tag {
	uint64_t quarantined[NETTLP_KEYS]; /* until that time, in nanoseconds */
	uint64_t used_at[NETTLP_KEYS];     /* when it was used last */
	uint32_t used[NETTLP_KEYS];        /* value of uses then; 0: never */
	uint32_t uses;
};

/* What a request asks for: physical address and bytes. */
struct nettlp_ask {
	uint64_t address;
	uint32_t size;
};

/*
 * What the tag may ask for now that has the most of *wanted, from its start on: more than that, within
 * the same blocks of 64 bytes, if this makes it end elsewhere, or else less. Ends that were used just
 * before are left out, too: what was asked for, or answered, may have come twice. wanted->size is at
 * most limit, and so is what it returns; size 0: nothing. is_loose: the target splits completions where
 * no root complex does, so that only ends tell them apart, and kinds do not.
 */
struct nettlp_ask nettlp_tag_fit(const struct nettlp_tag *tag, const struct nettlp_ask *wanted,
				 uint32_t limit, uint64_t now, bool is_loose);

/* That it is used for a request, and that completions of one may come until a time. */
void nettlp_tag_use(struct nettlp_tag *tag, const struct nettlp_ask *ask, uint64_t now);
void nettlp_tag_quarantine(struct nettlp_tag *tag, const struct nettlp_ask *ask, uint64_t until);

/* Whether nothing of it is in quarantine now. */
bool nettlp_tag_is_clean(const struct nettlp_tag *tag, uint64_t now);

#endif
