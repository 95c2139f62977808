/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/net_device.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/hash_chain.h"
#include "kernel/list.h"

static const struct member device_members[] = {
	MEMBER(struct net_device, list_next, "dev_list.next"),
	MEMBER(struct net_device, name, "name"),
	MEMBER(struct net_device, index, "ifindex"),
	MEMBER(struct net_device, flags, "flags"),
	MEMBER(struct net_device, mtu, "mtu"),
	MEMBER(struct net_device, type, "type"),
	MEMBER(struct net_device, hardware_address, "dev_addr"),
	MEMBER(struct net_device, hardware_size, "addr_len"),
	OPTIONAL(struct net_device, namespace, "nd_net.net"),
	OPTIONAL(struct net_device, state, "operstate"),
	OPTIONAL(struct net_device, promiscuity, "promiscuity"),
	OPTIONAL(struct net_device, in4, "ip_ptr"),
	OPTIONAL(struct net_device, in6, "ip6_ptr"),
};
const struct record net_device_record = RECORD(struct net_device, "net_device", device_members);

/* Where in a namespace its list of interfaces is. */
struct devices {
	uint64_t first;
};

static const struct member devices_members[] = {
	MEMBER(struct devices, first, "dev_base_head.next"),
};
static const struct record devices_record = RECORD(struct devices, "net", devices_members);

struct in4 {
	uint64_t device, first;
};

static const struct member in4_members[] = {
	MEMBER(struct in4, device, "dev"),
	MEMBER(struct in4, first, "ifa_list"),
};
static const struct record in4_record = RECORD(struct in4, "in_device", in4_members);

struct address4 {
	uint64_t next;
	uint32_t local; /* as it is */
	uint32_t prefix;
};

static const struct member address4_members[] = {
	MEMBER(struct address4, next, "ifa_next"),
	MEMBER(struct address4, local, "ifa_local"),
	MEMBER(struct address4, prefix, "ifa_prefixlen"),
};
static const struct record address4_record = RECORD(struct address4, "in_ifaddr", address4_members);

struct in6 {
	uint64_t device, first;
};

static const struct member in6_members[] = {
	MEMBER(struct in6, device, "dev"),
	MEMBER(struct in6, first, "addr_list.next"),
};
static const struct record in6_record = RECORD(struct in6, "inet6_dev", in6_members);

struct address6 {
	uint64_t next;
	uint8_t bytes[16];
	uint32_t prefix;
};

static const struct member address6_members[] = {
	MEMBER(struct address6, next, "if_list.next"),
	MEMBER(struct address6, bytes, "addr.in6_u.u6_addr8"),
	MEMBER(struct address6, prefix, "prefix_len"),
};
static const struct record address6_record =
	RECORD(struct address6, "inet6_ifaddr", address6_members);

enum { ADDRESS_LIMIT = 65536 }; /* of one interface */

enum kioku_status net_device_read(struct kioku_kernel *kernel, uint64_t address,
				  struct net_device *out)
{
	TRY(record_read_at(kernel, &net_device_record, address, out));
	out->address = address;
	if (out->name[0] == '\0' || out->index <= 0 || out->hardware_size > HARDWARE_ADDRESS)
		return KIOKU_ERROR_CORRUPT;
	return KIOKU_OK;
}

enum kioku_status net_device_each(struct kioku_kernel *kernel,
				  const struct net_namespace *namespace, net_device_fn *receive,
				  void *user)
{
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *binding, *own;
	char what[64];
	uint64_t node;

	TRY(record_bind(kernel, &devices_record, &binding, NULL));
	TRY(record_bind(kernel, &net_device_record, &own, NULL));
	snprintf(what, sizeof(what), "interfaces of namespace %u", namespace->inode);
	list_begin(&walk, kernel,
		   namespace->address + BINDING_OFFSET(binding, struct devices, first), what);
	while (list_next(&walk, &node)) {
		struct net_device device;
		uint64_t address = node - BINDING_OFFSET(own, struct net_device, list_next);
		enum kioku_status status = net_device_read(kernel, address, &device);
		if (status != KIOKU_OK)
			list_reject(&walk, kioku_status_name(status));
		else
			TRY(receive(user, &device));
	}
	return KIOKU_OK;
}

/* --- addresses */

static enum kioku_status each_address4(struct kioku_kernel *kernel, const struct net_device *device,
				       interface_address_fn *receive, void *user)
{
	struct address4 address;
	struct in4 in4;

	TRY(record_read_at(kernel, &in4_record, device->in4, &in4));
	if (in4.device != device->address)
		return KIOKU_ERROR_CORRUPT;
	uint64_t at = in4.first;
	for (unsigned i = 0; at; at = address.next, i++) {
		TRY(record_read_at(kernel, &address4_record, at, &address));
		if (i == ADDRESS_LIMIT || address.prefix > 32)
			return KIOKU_ERROR_CORRUPT;
		TRY(receive(user, AF_INET, (const uint8_t *)&address.local, address.prefix));
	}
	return KIOKU_OK;
}

static enum kioku_status each_address6(struct kioku_kernel *kernel, const struct net_device *device,
				       interface_address_fn *receive, void *user)
{
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *binding, *own;
	struct in6 in6;
	char what[64];
	uint64_t node;

	TRY(record_bind(kernel, &in6_record, &binding, NULL));
	TRY(record_bind(kernel, &address6_record, &own, NULL));
	TRY(record_read_at(kernel, &in6_record, device->in6, &in6));
	if (in6.device != device->address)
		return KIOKU_ERROR_CORRUPT;
	snprintf(what, sizeof(what), "addresses of interface %d", device->index);
	list_begin(&walk, kernel, device->in6 + BINDING_OFFSET(binding, struct in6, first), what);
	while (list_next(&walk, &node)) {
		struct address6 address;
		enum kioku_status status =
			record_read(kernel, own, node - BINDING_OFFSET(own, struct address6, next),
				    &address, NULL);
		if (status == KIOKU_OK && address.prefix > 128)
			status = KIOKU_ERROR_CORRUPT;
		if (status != KIOKU_OK)
			list_reject(&walk, kioku_status_name(status));
		else
			TRY(receive(user, AF_INET6, address.bytes, address.prefix));
	}
	return KIOKU_OK;
}

enum kioku_status net_device_each_address(struct kioku_kernel *kernel,
					  const struct net_device *device,
					  interface_address_fn *receive, void *user)
{
	if (device->in4)
		TRY(each_address4(kernel, device, receive, user));
	return device->in6 ? each_address6(kernel, device, receive, user) : KIOKU_OK;
}

/* --- neighbours */

struct neighbour_table {
	uint64_t hash;
	uint32_t family, key_size;
};

static const struct member table_members[] = {
	MEMBER(struct neighbour_table, hash, "nht"),
	MEMBER(struct neighbour_table, family, "family"),
	MEMBER(struct neighbour_table, key_size, "key_len"),
};
static const struct record table_record =
	RECORD(struct neighbour_table, "neigh_table", table_members);

struct neighbour_hash {
	uint64_t heads, old_heads;
	uint32_t shift; /* two to this is the count of chains */
};

static const struct member hash_members[] = {
	OPTIONAL(struct neighbour_hash, heads, "hash_heads"), /* v6.13 */
	OPTIONAL(struct neighbour_hash, old_heads, "hash_buckets"),
	MEMBER(struct neighbour_hash, shift, "hash_shift"),
};
static const struct record hash_record =
	RECORD(struct neighbour_hash, "neigh_hash_table", hash_members);

static const struct member neighbour_members[] = {
	MEMBER(struct neighbour, device, "dev"),
	MEMBER(struct neighbour, state, "nud_state"),
	MEMBER(struct neighbour, hardware_address, "ha"),
	MEMBER(struct neighbour, key, "primary_key"),
};
static const struct record neighbour_record =
	RECORD(struct neighbour, "neighbour", neighbour_members);

/* By which it is in a chain; the older ones point to a struct neighbour, and so to its first member. */
struct neighbour_links {
	uint64_t next;
};

static const struct member links_members[] = {
	MEMBER(struct neighbour_links, next, "hash.next", "next"),
};
static const struct record links_record =
	RECORD(struct neighbour_links, "neighbour", links_members);

struct neighbours {
	struct kioku_kernel *kernel;
	const struct binding *binding;
	uint64_t node;
	struct neighbour_table table;
	neighbour_fn *receive;
	void *user;
};

static enum kioku_status give_neighbour(void *user, uint64_t node)
{
	struct neighbours *all = user;
	struct neighbour neighbour;
	uint64_t address = node - all->node;
	uint64_t key = address + BINDING_OFFSET(all->binding, struct neighbour, key);
	enum kioku_status status =
		record_read(all->kernel, all->binding, address, &neighbour, NULL);

	neighbour.family = (int)all->table.family;
	if (status == KIOKU_OK)
		status =
			kernel_read(all->kernel, key, neighbour.address, all->table.key_size, NULL);
	if (status == KIOKU_OK)
		return all->receive(all->user, &neighbour);
	diagnose(&all->kernel->diagnostics, KIOKU_GAP, "neighbour 0x%llx: %s",
		 (unsigned long long)address, kioku_status_name(status));
	return KIOKU_OK;
}

static enum kioku_status walk_table(struct neighbours *all, struct hash_walk *walk,
				    uint64_t address)
{
	const unsigned shift_limit = 24;
	const struct binding *links;
	struct neighbour_hash hash;

	TRY(record_bind(all->kernel, &neighbour_record, &all->binding, NULL));
	TRY(record_bind(all->kernel, &links_record, &links, NULL));
	TRY(record_read_at(all->kernel, &table_record, address, &all->table));
	TRY(record_read_at(all->kernel, &hash_record, all->table.hash, &hash));
	all->node = BINDING_OFFSET(links, struct neighbour_links, next);
	uint32_t size = all->table.family == AF_INET ? 4 : 16;
	if (all->table.key_size != size || hash.shift > shift_limit)
		return KIOKU_ERROR_CORRUPT;
	uint64_t count = UINT64_C(1) << hash.shift;
	if (hash.heads)
		return hash_table_walk(walk, hash.heads, count, 8, 0);
	return all->node == 0 ? hash_plain_walk(walk, hash.old_heads, count)
			      : KIOKU_ERROR_UNSUPPORTED;
}

enum kioku_status neighbour_each(struct kioku_kernel *kernel, neighbour_fn *receive, void *user)
{
	static const struct {
		const char *symbol, *what;
	} tables[] = { { "arp_tbl", "neighbours (IPv4)" }, { "nd_tbl", "neighbours (IPv6)" } };
	struct neighbours all = { .kernel = kernel, .receive = receive, .user = user };
	AUTO_HASH_WALK struct hash_walk walk = { .kernel = kernel,
						 .receive = give_neighbour,
						 .user = &all };

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		uint64_t address = kernel_symbol(kernel, tables[i].symbol);
		if (!address) /* built without it, or it is a module */
			continue;
		walk.what = tables[i].what;
		enum kioku_status status = walk_table(&all, &walk, address);
		if (status == KIOKU_ERROR_NO_MEMORY || status == KIOKU_ERROR_STOPPED)
			return status;
		if (status != KIOKU_OK)
			diagnose(&kernel->diagnostics, KIOKU_GAP, "%s: their table: %s", walk.what,
				 kioku_status_name(status));
	}
	return KIOKU_OK;
}
