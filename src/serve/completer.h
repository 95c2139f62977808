/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a root complex answers to a memory read: completions as section 2.3.1.1 of the PCI Express Base
 * Specification 2.1 has them. No sockets, no clock.
 */
#ifndef SERVE_COMPLETER_H
#define SERVE_COMPLETER_H

#include "base/range_map.h"
#include "format/nettlp_format.h"
#include "serve/random.h"
#include "source/source.h"

#define COMPLETIONS_MAX (TLP_DATA_MAX / TLP_COMPLETION_BOUNDARY)

struct completer {
	struct kioku_source *source;
	const struct range_map *ram; /* what is RAM, normalised; NULL: whatever the source has */
	uint32_t payload;            /* Max_Payload_Size, a power of 2, at least boundary */
	uint32_t boundary;           /* Read Completion Boundary: 64 or 128 */
	uint16_t id;
	uint8_t refusal; /* enum tlp_status that everything is answered with; TLP_SUCCESSFUL: not */
};

/* The completions of one request, in the order in which they are sent. */
struct completions {
	size_t count;
	struct tlp_completion list[COMPLETIONS_MAX];
	uint8_t data[TLP_DATA_MAX]; /* what they carry points into it */
};

enum completer_verdict {
	COMPLETER_DONE,      /* or refused, as the completer is made to */
	COMPLETER_OUTSIDE,   /* something of it is no RAM: Unsupported Request */
	COMPLETER_ABSENT,    /* the source lacks something of it: Unsupported Request */
	COMPLETER_MALFORMED, /* it crosses a multiple of TLP_DATA_MAX: there is no answer */
};

/*
 * Fills *out in. Completions are as long as they may be, so that what fits into one comes in one; with
 * splits they are cut at random where that is allowed.
 */
enum completer_verdict completer_answer(const struct completer *completer,
					const struct tlp_read *read, struct random *splits,
					struct completions *out);

#endif
