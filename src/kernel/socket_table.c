/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/socket_table.h"

#include "kernel/frame_use.h"
#include "kernel/hash_chain.h"

/* Where in a socket the links are by which it is in a table. */
struct links {
	uint64_t node;
};

static const struct member common_members[] = { MEMBER(struct links, node, "skc_node.next") };
static const struct record common_record = RECORD(struct links, "sock_common", common_members);

static const struct member netlink_members[] = { MEMBER(struct links, node, "node.next") };
static const struct record netlink_record = RECORD(struct links, "netlink_sock", netlink_members);

struct tcp_table {
	uint64_t established, listening;
	uint32_t established_mask, listening_mask;
	uint8_t old_listening;
};

static const struct member tcp_members[] = {
	MEMBER(struct tcp_table, established, "ehash"),
	MEMBER(struct tcp_table, established_mask, "ehash_mask"),
	OPTIONAL(struct tcp_table, listening, "lhash2"),
	OPTIONAL(struct tcp_table, listening_mask, "lhash2_mask"),
	/* Until 5.18, where the other one has listening sockets by other links. */
	OPTIONAL(struct tcp_table, old_listening, "listening_hash"),
};
static const struct record tcp_record = RECORD(struct tcp_table, "inet_hashinfo", tcp_members);

struct udp_table {
	uint64_t slots;
	uint32_t mask;
};

static const struct member udp_members[] = {
	MEMBER(struct udp_table, slots, "hash"),
	MEMBER(struct udp_table, mask, "mask"),
};
static const struct record udp_record = RECORD(struct udp_table, "udp_table", udp_members);

struct allocation {
	uint32_t size;
};

static const struct member cache_members[] = { MEMBER(struct allocation, size, "object_size") };
static const struct record cache_record = RECORD(struct allocation, "kmem_cache", cache_members);

struct tables {
	struct kioku_kernel *kernel;
	struct hash_walk hash;
	uint64_t node; /* offset in what is walked now */
	socket_fn *receive;
	void *user;
	struct address_set known; /* tables that several namespaces share */
};

static enum kioku_status give(void *user, uint64_t node)
{
	struct tables *tables = user;

	return tables->receive(tables->user, node - tables->node);
}

/* A part of the walk that did not go as it should is a gap, unless it was the receiver's wish. */
static enum kioku_status report(const struct tables *tables, enum kioku_status status)
{
	if (status != KIOKU_ERROR_UNSUPPORTED && status != KIOKU_ERROR_CORRUPT &&
	    status != KIOKU_ERROR_ABSENT && status != KIOKU_ERROR_UNMAPPED)
		return status;
	diagnose(&tables->kernel->diagnostics, KIOKU_GAP, "%s: their table: %s", tables->hash.what,
		 kioku_status_name(status));
	return KIOKU_OK;
}

static bool is_new(struct tables *tables, uint64_t table)
{
	return table && address_set_add(&tables->known, table) == ADDRESS_ADDED;
}

/* --- places in types */

/* count heads of a type that has more in it than the head. */
static enum kioku_status walk_heads(struct tables *tables, uint64_t start, uint64_t count,
				    const char *type, const char *head, const char *other_head)
{
	struct type_place place;

	if (!types_find_place(tables->kernel->types, type, head, &place) &&
	    (!other_head || !types_find_place(tables->kernel->types, type, other_head, &place)))
		return KIOKU_ERROR_UNSUPPORTED;
	return hash_table_walk(&tables->hash, start, count,
			       types_size_of(tables->kernel->types, type), place.offset);
}

/* An array of heads within a struct. */
static enum kioku_status walk_array(struct tables *tables, uint64_t start, const char *type,
				    const char *array)
{
	struct type_place place;

	if (!types_find_place(tables->kernel->types, type, array, &place))
		return KIOKU_ERROR_UNSUPPORTED;
	return hash_table_walk(&tables->hash, start + place.offset, place.size / 8, 8, 0);
}

/* --- protocols */

static enum kioku_status walk_tcp(struct tables *tables, uint64_t address)
{
	const struct binding *binding;
	struct tcp_table table;
	struct type_place listening;

	tables->hash.what = "TCP sockets";
	TRY(record_bind(tables->kernel, &tcp_record, &binding, NULL));
	TRY(record_read_at(tables->kernel, &tcp_record, address, &table));
	TRY(walk_heads(tables, table.established, (uint64_t)table.established_mask + 1,
		       "struct inet_ehash_bucket", "chain", NULL));
	if (!types_find_place(tables->kernel->types, "struct inet_hashinfo", "listening_hash",
			      &listening))
		return walk_heads(tables, table.listening, (uint64_t)table.listening_mask + 1,
				  "struct inet_listen_hashbucket", "nulls_head", "head");
	uint64_t size = types_size_of(tables->kernel->types, "struct inet_listen_hashbucket");
	return size == 0 ? KIOKU_ERROR_UNSUPPORTED
			 : walk_heads(tables, address + listening.offset, listening.size / size,
				      "struct inet_listen_hashbucket", "nulls_head", "head");
}

static enum kioku_status walk_udp(struct tables *tables, uint64_t address)
{
	struct udp_table table;

	tables->hash.what = "UDP sockets";
	TRY(record_read_at(tables->kernel, &udp_record, address, &table));
	return walk_heads(tables, table.slots, (uint64_t)table.mask + 1, "struct udp_hslot", "head",
			  NULL);
}

/* Bytes of what was allocated at an address; 0: not known. */
static uint64_t allocated(const struct tables *tables, uint64_t virtual)
{
	struct kioku_kernel *kernel = tables->kernel;
	struct kioku_translation translation;
	struct frame_reader reader;
	struct frame_use use;
	struct allocation cache;

	if (kioku_translate(&kernel->space, virtual, &translation, NULL) != KIOKU_OK ||
	    frame_reader_open(kernel, &reader, NULL) != KIOKU_OK ||
	    frame_use_read(&reader, translation.physical, &use) != KIOKU_OK ||
	    use.kind != FRAME_SLAB ||
	    record_read_at(kernel, &cache_record, use.cache, &cache) != KIOKU_OK)
		return 0;
	return cache.size;
}

/* No kernel says how many chains it has; whoever allocated them did. */
static enum kioku_status walk_unix(struct tables *tables, uint64_t chains)
{
	uint64_t size = allocated(tables, chains);

	return size == 0 ? KIOKU_ERROR_UNSUPPORTED
			 : hash_table_walk(&tables->hash, chains, size / 8, 8, 0);
}

/* Before 5.20, one table for all, which ends where the next symbol is. */
static enum kioku_status walk_old_unix(struct tables *tables)
{
	const struct kioku_symbols *symbols = tables->kernel->symbols;
	uint64_t start = kernel_symbol(tables->kernel, "unix_socket_table");

	if (!start)
		return KIOKU_OK;
	size_t above = symbols_above(symbols, start);
	if (above == kioku_symbols_count(symbols))
		return KIOKU_ERROR_UNSUPPORTED;
	uint64_t end = kioku_symbols_get(symbols, above).address;
	return hash_table_walk(&tables->hash, start, (end - start) / 8, 8, 0);
}

static enum kioku_status walk_namespace(void *user, const struct net_namespace *namespace)
{
	struct tables *tables = user;
	struct type_place packet;

	if (is_new(tables, namespace->tcp))
		TRY(report(tables, walk_tcp(tables, namespace->tcp)));
	if (is_new(tables, namespace->udp))
		TRY(report(tables, walk_udp(tables, namespace->udp)));
	tables->hash.what = "UNIX sockets";
	if (namespace->unix_chains)
		TRY(report(tables, walk_unix(tables, namespace->unix_chains)));
	tables->hash.what = "packet sockets";
	if (types_find_place(tables->kernel->types, "struct net", "packet.sklist", &packet))
		TRY(report(tables,
			   hash_chain_walk(&tables->hash, namespace->address + packet.offset)));
	return KIOKU_OK;
}

static enum kioku_status walk_global(struct tables *tables)
{
	struct kioku_kernel *kernel = tables->kernel;
	static const char *const udp[] = { "udp_table", "udplite_table" };
	static const struct {
		const char *symbol, *type, *array, *what;
	} arrays[] = {
		{ "raw_v4_hashinfo", "struct raw_hashinfo", "ht", "raw sockets" },
		{ "raw_v6_hashinfo", "struct raw_hashinfo", "ht", "raw sockets" },
		{ "ping_table", "struct ping_table", "hash", "ping sockets" },
	};

	if (is_new(tables, kernel_symbol(kernel, "tcp_hashinfo")))
		TRY(report(tables, walk_tcp(tables, kernel_symbol(kernel, "tcp_hashinfo"))));
	for (size_t i = 0; i < sizeof(udp) / sizeof(*udp); i++)
		if (is_new(tables, kernel_symbol(kernel, udp[i])))
			TRY(report(tables, walk_udp(tables, kernel_symbol(kernel, udp[i]))));
	for (size_t i = 0; i < sizeof(arrays) / sizeof(*arrays); i++) {
		uint64_t start = kernel_symbol(kernel, arrays[i].symbol);
		tables->hash.what = arrays[i].what;
		if (start)
			TRY(report(tables,
				   walk_array(tables, start, arrays[i].type, arrays[i].array)));
	}
	tables->hash.what = "UNIX sockets";
	return report(tables, walk_old_unix(tables));
}

static enum kioku_status walk_netlink(struct tables *tables)
{
	enum { PROTOCOLS = 32 }; /* MAX_LINKS, include/uapi/linux/netlink.h */
	uint64_t symbol = kernel_symbol(tables->kernel, "nl_table");
	uint64_t size = types_size_of(tables->kernel->types, "struct netlink_table");
	const struct binding *binding;
	struct type_place hash, registered;
	uint8_t raw[8];

	if (!symbol ||
	    !types_find_place(tables->kernel->types, "struct netlink_table", "hash", &hash) ||
	    !types_find_place(tables->kernel->types, "struct netlink_table", "registered",
			      &registered))
		return KIOKU_ERROR_UNSUPPORTED;
	TRY(record_bind(tables->kernel, &netlink_record, &binding, NULL));
	tables->node = BINDING_OFFSET(binding, struct links, node);
	TRY(kernel_read(tables->kernel, symbol, raw, sizeof(raw), NULL));
	uint64_t table = load_le64(raw);
	for (unsigned i = 0; i < PROTOCOLS; i++, table += size) {
		TRY(kernel_read(tables->kernel, table + registered.offset, raw, 4, NULL));
		if (load_le32(raw) != 0)
			TRY(hash_resizable_walk(&tables->hash, table + hash.offset));
	}
	return KIOKU_OK;
}

static void release(struct tables *tables)
{
	hash_walk_release(&tables->hash);
	address_set_release(&tables->known);
}

enum kioku_status socket_table_each(struct kioku_kernel *kernel, socket_fn *receive, void *user,
				    struct kioku_error *error)
{
	CLEANUP(release)
	struct tables tables = { .kernel = kernel, .receive = receive, .user = user };
	const struct binding *binding;

	tables.hash = (struct hash_walk){ .kernel = kernel, .receive = give, .user = &tables };
	TRY(record_bind(kernel, &common_record, &binding, error));
	tables.node = BINDING_OFFSET(binding, struct links, node);
	TRY(walk_global(&tables));
	TRY(net_namespace_each(kernel, walk_namespace, &tables, error));
	tables.hash.what = "netlink sockets";
	return report(&tables, walk_netlink(&tables));
}
