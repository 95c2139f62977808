/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/hash_chain.h"

enum {
	NODE_LIMIT = 1 << 22,
	HEAD_LIMIT = 1 << 24, /* of a table */
	BATCH = 8192,         /* bytes of heads that are read at once */
};

struct links {
	uint64_t next, back;
};

/* The end of a chain: nothing, or a number with its lowest bit set. */
static bool is_end(uint64_t pointer)
{
	return pointer == 0 || pointer & 1;
}

static void cut(const struct hash_walk *walk, uint64_t at, const char *why)
{
	diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
		 "%s: damaged at 0x%llx (%s), what is behind it is lost", walk->what,
		 (unsigned long long)at, why);
}

/* NULL, or why there is no node; from: who points to it, 0 where nodes do not know. */
static const char *read_node(struct hash_walk *walk, uint64_t node, uint64_t from,
			     struct links *out)
{
	uint8_t raw[16];

	if (!kernel_is_pointer(walk->kernel, node))
		return "that is no pointer";
	if (walk->seen.count == NODE_LIMIT)
		return "it does not end";
	if (address_set_add(&walk->seen, node) != ADDRESS_ADDED)
		return "it runs in a circle";
	enum kioku_status status = kernel_read(walk->kernel, node, raw, from ? 16 : 8, NULL);
	if (status != KIOKU_OK)
		return kioku_status_name(status);
	out->next = load_le64(raw);
	out->back = from ? load_le64(raw + 8) : 0;
	return out->back == from ? NULL : "it belongs elsewhere";
}

/* first: what the head has. Nodes know where they are pointed to from, if has_backs. */
static enum kioku_status walk_chain(struct hash_walk *walk, uint64_t first, uint64_t head,
				    bool has_backs)
{
	uint64_t from = has_backs ? head : 0;

	for (uint64_t node = first; !is_end(node);) {
		struct links links = { 0 };
		const char *flaw = read_node(walk, node, from, &links);
		if (flaw) {
			cut(walk, node, flaw);
			return KIOKU_OK;
		}
		TRY(walk->receive(walk->user, node));
		from = has_backs ? node : 0;
		node = links.next;
	}
	return KIOKU_OK;
}

enum kioku_status hash_chain_walk(struct hash_walk *walk, uint64_t head)
{
	return hash_table_walk(walk, head, 1, 8, 0);
}

static enum kioku_status walk_heads(struct hash_walk *walk, uint64_t start, uint64_t count,
				    uint64_t stride, const uint8_t *raw, bool has_backs)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t first = load_le64(raw + i * stride);
		/* The lowest bit of a resizable table's head is a lock, of the others it is the end. */
		if (!has_backs)
			first &= ~UINT64_C(1);
		TRY(walk_chain(walk, first, start + i * stride, has_backs));
	}
	return KIOKU_OK;
}

static enum kioku_status walk_table(struct hash_walk *walk, uint64_t start, uint64_t count,
				    uint64_t stride, bool has_backs)
{
	if (count > HEAD_LIMIT || stride < 8 || stride > BATCH) {
		cut(walk, start, "its size is impossible");
		return KIOKU_OK;
	}
	const uint64_t most = BATCH / stride;
	for (uint64_t done = 0, some; done < count; done += some) {
		uint8_t raw[BATCH];
		uint64_t at = start + done * stride;
		some = count - done < most ? count - done : most;
		enum kioku_status status =
			kernel_read(walk->kernel, at, raw, (some - 1) * stride + 8, NULL);
		if (status == KIOKU_OK)
			TRY(walk_heads(walk, at, some, stride, raw, has_backs));
		else
			cut(walk, at, kioku_status_name(status));
	}
	return KIOKU_OK;
}

enum kioku_status hash_table_walk(struct hash_walk *walk, uint64_t start, uint64_t count,
				  uint64_t stride, uint64_t offset)
{
	return walk_table(walk, start + offset, count, stride, true);
}

enum kioku_status hash_plain_walk(struct hash_walk *walk, uint64_t start, uint64_t count)
{
	return walk_table(walk, start, count, 8, false);
}

/* --- resizable tables */

struct resizable {
	uint64_t buckets;
	uint32_t count; /* of its elements */
};

static const struct member resizable_members[] = {
	MEMBER(struct resizable, buckets, "tbl"),
	MEMBER(struct resizable, count, "nelems"),
};
static const struct record resizable_record =
	RECORD(struct resizable, "rhashtable", resizable_members);

struct buckets {
	uint32_t size, nest;
	uint64_t next; /* the larger table that is being filled */
	uint8_t first;
};

static const struct member buckets_members[] = {
	MEMBER(struct buckets, size, "size"),
	MEMBER(struct buckets, nest, "nest"),
	MEMBER(struct buckets, next, "future_tbl"),
	MEMBER(struct buckets, first, "buckets"),
};
static const struct record buckets_record = RECORD(struct buckets, "bucket_table", buckets_members);

enum kioku_status hash_resizable_walk(struct hash_walk *walk, uint64_t table)
{
	enum { TABLES = 8 }; /* that fill each other */
	const struct binding *binding;
	struct resizable resizable;
	size_t before = walk->seen.count;

	TRY(record_bind(walk->kernel, &buckets_record, &binding, NULL));
	TRY(record_read_at(walk->kernel, &resizable_record, table, &resizable));
	uint64_t at = resizable.buckets;
	for (unsigned i = 0; at && i < TABLES; i++) {
		struct buckets buckets;
		TRY(record_read_at(walk->kernel, &buckets_record, at, &buckets));
		/* One of these is made where there was no memory for a whole one. */
		if (buckets.nest)
			cut(walk, at, "it is nested, which is not read");
		else
			TRY(walk_table(walk, at + BINDING_OFFSET(binding, struct buckets, first),
				       buckets.size, 8, false));
		at = buckets.next;
	}
	if (walk->seen.count - before != resizable.count)
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "%s: %zu found, but it counts %u",
			 walk->what, walk->seen.count - before, resizable.count);
	return KIOKU_OK;
}

void hash_walk_release(struct hash_walk *walk)
{
	address_set_release(&walk->seen);
}
