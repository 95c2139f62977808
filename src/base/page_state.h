/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What became of one page (4096 bytes) of physical memory when it was captured. */
#ifndef BASE_PAGE_STATE_H
#define BASE_PAGE_STATE_H

#include <stdbool.h>

#define CAPTURE_PAGE 4096u

enum page_state {
	PAGE_READ,      /* as it was */
	PAGE_ZERO,      /* read, and all zero */
	PAGE_OFFLINE,   /* the kernel says that it is offline or ballooned; not read */
	PAGE_POISONED,  /* marked by a hardware memory error; not read */
	PAGE_FAULTED,   /* reading it failed */
	PAGE_TIMED_OUT, /* reading it took too long */
	PAGE_EXCLUDED,  /* left out on purpose by whoever made the source */
	PAGE_MISSING,   /* the source should have it and does not: cut off, or out of its reach */
	PAGE_STATE_COUNT,
};

/* The letters that stand for them in a manifest, in the same order. */
#define PAGE_STATE_LETTERS "rzopftxm"

/* Whether its bytes in the image are those of memory. */
static inline bool page_state_is_content(enum page_state state)
{
	return state <= PAGE_ZERO;
}

/* Whether something that should be there was lost: such a capture ends with exit status 3. */
static inline bool page_state_is_loss(enum page_state state)
{
	return state == PAGE_FAULTED || state == PAGE_TIMED_OUT || state == PAGE_POISONED ||
	       state == PAGE_MISSING;
}

#endif
