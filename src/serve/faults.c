/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "serve/faults.h"

#define DETOUR_NS 100000 /* at most; longer than a batch takes to be sent */

void faults_init(struct faults *faults, const struct kioku_serve_options *options)
{
	*faults = (struct faults){
		.random.state = options->seed,
		.splits.state = ~options->seed,
		.options = options,
	};
}

bool faults_happen(struct faults *faults, double percent)
{
	if (percent <= 0)
		return false;
	return (double)(random_next(&faults->random) >> 11) * 0x1p-53 * 100 < percent;
}

uint64_t faults_delay(struct faults *faults, bool *is_late)
{
	const struct kioku_serve_options *options = faults->options;
	uint64_t delay = options->latency;

	if (options->jitter > 0)
		delay += random_next(&faults->random) % (options->jitter + 1);
	*is_late = faults_happen(faults, options->late);
	return *is_late ? delay + options->late_delay : delay;
}

uint64_t faults_detour(struct faults *faults)
{
	return DETOUR_NS / 2 + random_below(&faults->random, DETOUR_NS / 2);
}

/* One of the bits that are set; 0 if none is. */
static unsigned pick(struct faults *faults, unsigned bits)
{
	uint32_t count = (uint32_t)__builtin_popcount(bits);

	for (uint32_t skipped = count ? random_below(&faults->random, count) : 0; skipped > 0;
	     skipped--)
		bits &= bits - 1;
	return bits & -bits;
}

static void poison(struct completions *completions, struct tlp_completion *completion)
{
	uint8_t *data = completions->data + (completion->data.data - completions->data);

	completion->is_poisoned = true;
	for (size_t i = 0; i < completion->data.size; i++)
		data[i] ^= 0xff;
}

void faults_fail(struct faults *faults, struct completions *completions)
{
	uint32_t index = random_below(&faults->random, (uint32_t)completions->count);
	struct tlp_completion *completion = &completions->list[index];
	unsigned kind = pick(faults, faults->options->errors);

	if (kind == KIOKU_SERVE_ERROR_POISON) {
		if (completion->data.size > 0)
			poison(completions, completion);
		return;
	}
	completion->status = kind == KIOKU_SERVE_ERROR_ABORT   ? TLP_COMPLETER_ABORT
			     : kind == KIOKU_SERVE_ERROR_RETRY ? TLP_CONFIGURATION_RETRY
							       : TLP_UNSUPPORTED_REQUEST;
	completion->data.size = 0;
	completions->count = index + 1; /* it ends the request */
}

/* Changes some of the bits of a big-endian field of 16 bits, and no others. */
static void spoil(struct faults *faults, uint8_t *field, uint32_t bits)
{
	uint32_t change;

	do
		change = random_below(&faults->random, 0x10000) & bits;
	while (change == 0);
	field[0] ^= (uint8_t)(change >> 8);
	field[1] ^= (uint8_t)change;
}

size_t faults_corrupt(struct faults *faults, uint8_t *tlp, size_t size)
{
	/* Reads, writes, completions with and without data, of configuration, messages, none. */
	static const uint8_t types[] = { 0x00, 0x20, 0x40, 0x60, 0x0a, 0x4a, 0x04, 0x74, 0xff };
	uint8_t type = tlp[0];

	switch (pick(faults, faults->options->corruptions)) {
	case KIOKU_SERVE_CORRUPT_LENGTH: spoil(faults, tlp + 2, 0x03ff); break;
	case KIOKU_SERVE_CORRUPT_STATUS: spoil(faults, tlp + 6, 0xe000); break;
	case KIOKU_SERVE_CORRUPT_COUNT: spoil(faults, tlp + 6, 0x0fff); break;
	case KIOKU_SERVE_CORRUPT_REQUESTER: spoil(faults, tlp + 8, 0xffff); break;
	case KIOKU_SERVE_CORRUPT_TAG: spoil(faults, tlp + 10, 0xff00); break;
	case KIOKU_SERVE_CORRUPT_ADDRESS: spoil(faults, tlp + 10, 0x007f); break;
	case KIOKU_SERVE_CORRUPT_TYPE:
		while (tlp[0] == type)
			tlp[0] = types[random_below(&faults->random, sizeof(types))];
		break;
	case KIOKU_SERVE_CORRUPT_SHORT: return random_below(&faults->random, (uint32_t)size);
	}
	return size;
}
