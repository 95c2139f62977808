/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a NetTLP endpoint makes of any datagram. The first byte of the input says how it is set up, the
 * rest is what comes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "serve/faults.h"

enum { MEMORY = 3 * 4096 + 40 };

/* Opened once: whatever is read from it, it stays the same. */
static struct kioku_source *open_source(uint8_t *memory)
{
	struct kioku_source *source;
	char path[64];
	int descriptor = memfd_create("memory", MFD_CLOEXEC);

	for (size_t i = 0; i < MEMORY; i++)
		memory[i] = (uint8_t)(i * 31 + 1);
	FUZZ_CHECK(write(descriptor, memory, MEMORY) == MEMORY);
	snprintf(path, sizeof(path), "raw:/proc/self/fd/%d", descriptor);
	FUZZ_CHECK(kioku_source_open(path, NULL, &source, NULL) == KIOKU_OK);
	close(descriptor);
	return source;
}

/* Together they are what was asked for, or one that refuses it. */
static void check_answer(const struct completer *completer, const struct tlp_read *read,
			 const struct completions *out, const uint8_t *memory)
{
	uint64_t at = read->address, end = at + read->size;

	FUZZ_CHECK(out->count >= 1 && out->count <= COMPLETIONS_MAX);
	for (size_t i = 0; i < out->count; i++) {
		const struct tlp_completion *completion = &out->list[i];
		FUZZ_CHECK(completion->tag == read->tag);
		FUZZ_CHECK(completion->data.size <= completer->payload);
		if (completion->status != TLP_SUCCESSFUL) {
			FUZZ_CHECK(out->count == 1 && completion->data.size == 0);
			return;
		}
		uint64_t size = completion->data.size - (at & 3);
		size = size < end - at ? size : end - at;
		FUZZ_CHECK(end <= MEMORY || read->size == 0);
		FUZZ_CHECK(read->size == 0 ||
			   memcmp(completion->data.data + (at & 3), memory + at, size) == 0);
		at += size;
	}
	FUZZ_CHECK(at == end);
}

/* However completions are spoiled, nothing is written outside of them. */
static void spoil(struct faults *faults, struct completions *out)
{
	uint8_t tlp[TLP_COMPLETION_SIZE];

	faults_fail(faults, out);
	for (size_t i = 0; i < out->count; i++) {
		size_t size = tlp_completion_encode(&out->list[i], tlp);
		FUZZ_CHECK(faults_corrupt(faults, tlp, size) <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t memory[MEMORY];
	static struct kioku_source *source;
	static struct completions out;
	uint8_t setup = size > 0 ? data[0] : 0;
	const struct kioku_serve_options options = { .seed = setup,
						     .errors = 15,
						     .corruptions = 255 };
	struct bytes tlp = { data + 1, size - 1 };
	struct tlp_read read;
	struct faults faults;

	if (size == 0 || tlp_read_decode(tlp, &read))
		return 0;
	if (!source)
		source = open_source(memory);
	const struct completer completer = {
		.source = source,
		.payload = 128u << setup % 6,
		.boundary = setup & 8 ? 64 : 128,
		.refusal = setup & 16 ? TLP_COMPLETER_ABORT : TLP_SUCCESSFUL,
	};
	faults_init(&faults, &options);
	if (completer_answer(&completer, &read, setup & 32 ? &faults.splits : NULL, &out) ==
	    COMPLETER_MALFORMED)
		return 0;
	check_answer(&completer, &read, &out, memory);
	spoil(&faults, &out);
	return 0;
}
