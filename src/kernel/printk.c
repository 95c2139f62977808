/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "kernel/printk.h"

struct ring {
	uint64_t descriptors, infos, head, tail;
	uint64_t text;
	uint32_t count_bits, size_bits;
	uint64_t failed; /* records for which there was no room */
};

static const struct member ring_members[] = {
	MEMBER(struct ring, descriptors, "desc_ring.descs"),
	MEMBER(struct ring, infos, "desc_ring.infos"),
	MEMBER(struct ring, head, "desc_ring.head_id"),
	MEMBER(struct ring, tail, "desc_ring.tail_id"),
	MEMBER(struct ring, count_bits, "desc_ring.count_bits"),
	MEMBER(struct ring, text, "text_data_ring.data"),
	MEMBER(struct ring, size_bits, "text_data_ring.size_bits"),
	OPTIONAL(struct ring, failed, "fail"),
};
static const struct record ring_record = RECORD(struct ring, "printk_ringbuffer", ring_members);

struct descriptor {
	uint64_t state, begin, next;
};

static const struct member descriptor_members[] = {
	MEMBER(struct descriptor, state, "state_var"),
	MEMBER(struct descriptor, begin, "text_blk_lpos.begin"),
	MEMBER(struct descriptor, next, "text_blk_lpos.next"),
};
static const struct record descriptor_record =
	RECORD(struct descriptor, "prb_desc", descriptor_members);

struct information {
	uint64_t sequence, time;
	uint32_t caller;
	uint16_t size;
	uint8_t facility, level;
	char subsystem[PRINTK_SUBSYSTEM_ROOM], device[PRINTK_DEVICE_ROOM];
};

static const struct member information_members[] = {
	MEMBER(struct information, sequence, "seq"),
	MEMBER(struct information, time, "ts_nsec"),
	MEMBER(struct information, size, "text_len"),
	MEMBER(struct information, facility, "facility"),
	MEMBER(struct information, level, "level"),
	OPTIONAL(struct information, caller, "caller_id"),
	OPTIONAL(struct information, subsystem, "dev_info.subsystem"),
	OPTIONAL(struct information, device, "dev_info.device"),
};
static const struct record information_record =
	RECORD(struct information, "printk_info", information_members);

/* kernel/printk/printk_ringbuffer.h: of a state_var, of 64 bits, the two highest are the state. */
enum state { RESERVED, COMMITTED, FINALIZED, REUSABLE, STATE_SHIFT = 62 };

static const uint64_t id_mask = (UINT64_C(1) << STATE_SHIFT) - 1;

enum {
	COUNT_BITS = 20, /* most descriptors: a log of 2^25 bytes has 2^20 */
	SIZE_BITS = 31,  /* most text, in bytes: LOG_BUF_LEN_MAX */
	BLOCK_ID = 8,    /* bytes of struct prb_data_block before the text */
	NO_TEXT = 1,     /* a bit of both positions of a block that has no bytes */
	BATCH = 256,     /* descriptors that are asked for at once */
};

struct ring_walk {
	struct kioku_kernel *kernel;
	struct ring ring;
	const struct binding *descriptor, *information;
	uint64_t descriptor_size, information_size;
	char text[UINT16_MAX + 1 + BLOCK_ID];
	printk_fn *receive;
	void *user;
};

static enum kioku_status find_ring(struct ring_walk *walk, struct kioku_error *error)
{
	struct kioku_kernel *kernel = walk->kernel;
	struct ring *ring = &walk->ring;
	const struct binding *binding;
	uint8_t raw[8];
	uint32_t id;

	TRY(record_bind(kernel, &ring_record, &binding, error));
	TRY(record_bind(kernel, &descriptor_record, &walk->descriptor, error));
	TRY(record_bind(kernel, &information_record, &walk->information, error));
	TRY(kioku_types_find(kernel->types, "struct prb_desc", &id, error));
	walk->descriptor_size = kioku_type_size(kernel->types, id);
	TRY(kioku_types_find(kernel->types, "struct printk_info", &id, error));
	walk->information_size = kioku_type_size(kernel->types, id);
	/* prb points to the static ring, or to the larger one that replaced it during boot. */
	TRY(kernel_read(kernel, kernel_symbol(kernel, "prb"), raw, sizeof(raw), error));
	TRY(record_read(kernel, binding, load_le64(raw), ring, error));
	if (ring->count_bits == 0 || ring->count_bits > COUNT_BITS || ring->size_bits == 0 ||
	    ring->size_bits > SIZE_BITS ||
	    ((ring->head - ring->tail) & id_mask) >> ring->count_bits != 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "the log's ring is damaged");
	return KIOKU_OK;
}

/* Where a block's bytes are in the ring of text: its id, then its text. */
static bool place_block(const struct ring *ring, const struct descriptor *descriptor,
			uint64_t *offset, uint64_t *size)
{
	uint64_t room = UINT64_C(1) << ring->size_bits;
	uint64_t begin = descriptor->begin & (room - 1), next = descriptor->next & (room - 1);
	uint64_t turns =
		(descriptor->next >> ring->size_bits) - (descriptor->begin >> ring->size_bits);

	/* One that ends just where the ring does is in the turn before, too. */
	if (turns == 1 && next == 0)
		turns = 0, next = room;
	if (turns == 0 && next > begin) {
		*offset = begin;
		*size = next - begin;
	} else if (turns == 1) {
		/* What does not fit before the end is whole at the start. */
		*offset = 0;
		*size = next;
	} else {
		return false;
	}
	return *size >= BLOCK_ID;
}

/* NULL, or what is wrong with the text. */
static const char *read_text(struct ring_walk *walk, uint64_t id,
			     const struct descriptor *descriptor, uint16_t size, size_t *got)
{
	const uint8_t *raw = (const uint8_t *)walk->text;
	uint64_t offset, block;

	*got = 0;
	if (descriptor->begin & NO_TEXT && descriptor->next & NO_TEXT)
		return size == 0 ? NULL : "its text was lost";
	if (!place_block(&walk->ring, descriptor, &offset, &block))
		return "its text is at no possible place";
	block -= BLOCK_ID;
	*got = size < block ? size : (size_t)block;
	enum kioku_status status = kernel_read(walk->kernel, walk->ring.text + offset, walk->text,
					       BLOCK_ID + *got, NULL);
	if (status != KIOKU_OK)
		return kioku_status_name(status);
	return load_le64(raw) == id ? NULL : "its text is that of another record";
}

/* NULL; or what is wrong with a record, which is not given then. */
static const char *read_entry(struct ring_walk *walk, uint64_t id, struct printk_entry *out,
			      bool *was_given_up)
{
	struct kioku_kernel *kernel = walk->kernel;
	uint64_t index = id & ((UINT64_C(1) << walk->ring.count_bits) - 1);
	struct descriptor descriptor;
	struct information information;
	enum kioku_status status =
		record_read(kernel, walk->descriptor,
			    walk->ring.descriptors + index * walk->descriptor_size, &descriptor,
			    NULL);

	*was_given_up = false;
	if (status == KIOKU_OK)
		status = record_read(kernel, walk->information,
				     walk->ring.infos + index * walk->information_size,
				     &information, NULL);
	if (status != KIOKU_OK)
		return kioku_status_name(status);
	enum state state = descriptor.state >> STATE_SHIFT;
	*was_given_up = state == REUSABLE;
	if (*was_given_up)
		return NULL;
	if ((descriptor.state & id_mask) != id)
		return "its descriptor is that of another record";
	if (state == RESERVED)
		return "it was being written";
	const char *flaw = read_text(walk, id, &descriptor, information.size, &out->size);
	out->sequence = information.sequence;
	out->time = information.time;
	out->facility = information.facility;
	out->level = information.level;
	out->has_caller = BINDING_HAS(walk->information, struct information, caller);
	out->caller = information.caller;
	out->text = walk->text + BLOCK_ID;
	memcpy(out->subsystem, information.subsystem, sizeof(out->subsystem));
	memcpy(out->device, information.device, sizeof(out->device));
	return flaw;
}

/* Brings in a batch of descriptors and what they tell; over a link, at once. */
static void fetch_batch(const struct ring_walk *walk, uint64_t id)
{
	const struct ring *ring = &walk->ring;
	uint64_t count = UINT64_C(1) << ring->count_bits, index = id & (count - 1);
	uint64_t left = ((ring->head - id) & id_mask) + 1;
	uint64_t some = left < BATCH ? left : BATCH;

	some = some < count - index ? some : count - index;
	const struct span spans[] = {
		{ ring->descriptors + index * walk->descriptor_size, some * walk->descriptor_size },
		{ ring->infos + index * walk->information_size, some * walk->information_size },
	};
	kernel_prefetch(walk->kernel, spans, sizeof(spans) / sizeof(*spans));
}

static enum kioku_status walk_ring(struct ring_walk *walk)
{
	const struct ring *ring = &walk->ring;
	uint64_t count = ((ring->head - ring->tail) & id_mask) + 1;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t id = (ring->tail + i) & id_mask;
		struct printk_entry entry;
		bool was_given_up;
		if (i % BATCH == 0 || (id & ((UINT64_C(1) << ring->count_bits) - 1)) == 0)
			fetch_batch(walk, id);
		const char *flaw = read_entry(walk, id, &entry, &was_given_up);
		if (flaw)
			diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
				 "log: record %llu of %llu: %s", (unsigned long long)i + 1,
				 (unsigned long long)count, flaw);
		else if (!was_given_up)
			TRY(walk->receive(walk->user, &entry));
	}
	return KIOKU_OK;
}

enum kioku_status printk_each(struct kioku_kernel *kernel, printk_fn *receive, void *user,
			      struct kioku_error *error)
{
	if (!kernel_symbol(kernel, "prb"))
		return printk_each_in_buffer(kernel, receive, user, error);
	AUTO_FREE struct ring_walk *walk = calloc(1, sizeof(*walk));
	if (!walk)
		return error_no_memory(error);
	walk->kernel = kernel;
	walk->receive = receive;
	walk->user = user;
	TRY(find_ring(walk, error));
	if (walk->ring.failed)
		diagnose(&kernel->diagnostics, KIOKU_WARNING,
			 "log: the kernel had no room for %llu records",
			 (unsigned long long)walk->ring.failed);
	return walk_ring(walk);
}
