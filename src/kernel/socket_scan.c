/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/socket_scan.h"

#include <stdlib.h>

#include "base/growing.h"
#include "kernel/frame_use.h"
#include "kernel/list.h"

enum { SLAB_LIMIT = 1 << 22 }; /* bytes */

struct protocol {
	uint64_t address; /* not a member of it */
	uint64_t node, cache;
};

static const struct member protocol_members[] = {
	MEMBER(struct protocol, node, "node.next"),
	MEMBER(struct protocol, cache, "slab"),
};
static const struct record protocol_record = RECORD(struct protocol, "proto", protocol_members);

struct cache {
	uint32_t size,
		padding; /* of an object with all that is with it, and before the first one */
};

static const struct member cache_members[] = {
	MEMBER(struct cache, size, "size"),
	OPTIONAL(struct cache, padding, "red_left_pad"),
};
static const struct record cache_record = RECORD(struct cache, "kmem_cache", cache_members);

/* What a socket in use is known by. */
struct sock {
	uint64_t creator; /* struct proto; skc_prot may be another one, of TLS for one */
	uint64_t namespace, handle;
	uint32_t references;
	uint16_t type;
	uint8_t state;
};

static const struct member sock_members[] = {
	MEMBER(struct sock, creator, "sk_prot_creator"),
	MEMBER(struct sock, namespace, "__sk_common.skc_net.net"),
	MEMBER(struct sock, handle, "sk_socket"),
	MEMBER(struct sock, references, "__sk_common.skc_refcnt"),
	MEMBER(struct sock, type, "sk_type"),
	MEMBER(struct sock, state, "__sk_common.skc_state"),
};
static const struct record sock_record = RECORD(struct sock, "sock", sock_members);

struct handle {
	uint64_t sock;
	uint16_t type;
};

static const struct member handle_members[] = {
	MEMBER(struct handle, sock, "sk"),
	MEMBER(struct handle, type, "type"),
};
static const struct record handle_record = RECORD(struct handle, "socket", handle_members);

struct scan {
	struct kioku_kernel *kernel;
	struct frame_reader frames;
	struct protocol *protocols;
	size_t count, capacity;
	struct address_set caches, namespaces;
	socket_fn *receive;
	void *user;
};

static void scan_release(struct scan *scan)
{
	free(scan->protocols);
	address_set_release(&scan->caches);
	address_set_release(&scan->namespaces);
}

/* --- what there is */

static enum kioku_status add_protocol(struct scan *scan, const struct protocol *protocol)
{
	if (!GROW(scan->protocols, scan->count, scan->capacity) ||
	    address_set_add(&scan->caches, protocol->cache) == ADDRESS_NO_MEMORY)
		return KIOKU_ERROR_NO_MEMORY;
	scan->protocols[scan->count++] = *protocol;
	return KIOKU_OK;
}

static enum kioku_status find_protocols(struct scan *scan, struct kioku_error *error)
{
	uint64_t head = kernel_symbol(scan->kernel, "proto_list"), node;
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *binding;

	if (!head)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this kernel has no list of protocols");
	TRY(record_bind(scan->kernel, &protocol_record, &binding, error));
	list_begin(&walk, scan->kernel, head, "list of protocols");
	while (list_next(&walk, &node)) {
		uint64_t address = node - BINDING_OFFSET(binding, struct protocol, node);
		struct protocol protocol;
		enum kioku_status status =
			record_read(scan->kernel, binding, address, &protocol, NULL);
		protocol.address = address;
		if (status != KIOKU_OK)
			list_reject(&walk, kioku_status_name(status));
		else if (protocol.cache)
			TRY(add_protocol(scan, &protocol));
	}
	return KIOKU_OK;
}

static enum kioku_status add_namespace(void *user, const struct net_namespace *namespace)
{
	struct scan *scan = user;

	return address_set_add(&scan->namespaces, namespace->address) == ADDRESS_NO_MEMORY
		       ? KIOKU_ERROR_NO_MEMORY
		       : KIOKU_OK;
}

/* --- sockets */

/* Caches of equal objects may be one: whose it is, the object says. */
static bool is_of_cache(const struct scan *scan, uint64_t protocol, uint64_t cache)
{
	for (size_t i = 0; i < scan->count; i++)
		if (scan->protocols[i].address == protocol)
			return scan->protocols[i].cache == cache;
	return false;
}

/*
 * A free object has no reference, and its struct socket has left it: whatever is free in the slab, or kept
 * for later in some list of a CPU, is not taken for one.
 */
static bool is_in_use(const struct scan *scan, uint64_t address, uint64_t cache)
{
	const uint32_t reference_limit = 1 << 30;
	const uint8_t last_state = 13; /* TCP_BOUND_INACTIVE, include/net/tcp_states.h */
	struct handle handle;
	struct sock sock;

	return record_read_at(scan->kernel, &sock_record, address, &sock) == KIOKU_OK &&
	       sock.references > 0 && sock.references < reference_limit && sock.state > 0 &&
	       sock.state <= last_state && is_of_cache(scan, sock.creator, cache) &&
	       address_set_has(&scan->namespaces, sock.namespace) &&
	       record_read_at(scan->kernel, &handle_record, sock.handle, &handle) == KIOKU_OK &&
	       handle.sock == address && handle.type == sock.type;
}

static enum kioku_status scan_slab(struct scan *scan, uint64_t physical,
				   const struct frame_slab *slab)
{
	struct kioku_kernel *kernel = scan->kernel;
	uint64_t first = kernel->direct_map + physical;
	struct cache cache;
	enum kioku_status status = record_read_at(kernel, &cache_record, slab->cache, &cache);

	if (status == KIOKU_OK &&
	    (cache.size == 0 || (uint64_t)cache.size * slab->objects > SLAB_LIMIT))
		status = KIOKU_ERROR_CORRUPT;
	if (status != KIOKU_OK) {
		diagnose(&kernel->diagnostics, KIOKU_GAP, "slab of sockets at 0x%llx: %s",
			 (unsigned long long)first, kioku_status_name(status));
		return KIOKU_OK;
	}
	for (uint32_t i = 0; i < slab->objects; i++) {
		uint64_t address = first + cache.padding + (uint64_t)i * cache.size;
		if (is_in_use(scan, address, slab->cache))
			TRY(scan->receive(scan->user, address));
	}
	return KIOKU_OK;
}

static enum kioku_status scan_range(struct scan *scan, uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += PAGE_SIZE) {
		struct frame_slab slab;
		if (frame_slab_read(&scan->frames, at, &slab) &&
		    address_set_has(&scan->caches, slab.cache))
			TRY(scan_slab(scan, at, &slab));
	}
	return KIOKU_OK;
}

enum kioku_status socket_scan_each(struct kioku_kernel *kernel, socket_fn *receive, void *user,
				   struct kioku_error *error)
{
	CLEANUP(scan_release)
	struct scan scan = { .kernel = kernel, .receive = receive, .user = user };
	const struct binding *binding;
	size_t count;
	const struct kioku_range *ranges = kioku_source_ranges(kernel->source, &count);

	if (!kernel->direct_map)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "where the kernel has all memory mapped is not known");
	TRY(record_bind(kernel, &sock_record, &binding, error));
	TRY(frame_reader_open(kernel, &scan.frames, error));
	TRY(find_protocols(&scan, error));
	TRY(net_namespace_each(kernel, add_namespace, &scan, error));
	if (!BINDING_HAS(scan.frames.slab, struct frame_slab, objects))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "how many objects a slab has is not known");
	for (size_t i = 0; i < count; i++)
		if (ranges[i].state == KIOKU_RANGE_PRESENT)
			TRY(scan_range(&scan, ranges[i].start, ranges[i].start + ranges[i].size));
	return KIOKU_OK;
}
