/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Routing tables of a made kernel, whole, damaged and hostile: an end to all, and nothing twice. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "kernel/route.h"
#include "test_kernel.h"

#define NET    (MADE_BASE + 0x100000)
#define HEADS4 (MADE_BASE + 0x110000)
#define HEADS6 (MADE_BASE + 0x111000)
#define TABLE4 (MADE_BASE + 0x120000)
#define TRIE   (TABLE4 + 48)
#define TABLE6 (MADE_BASE + 0x121000)
#define DEVICE (MADE_BASE + 0x122000)
#define NULL6  (MADE_BASE + 0x123000)

static const char layout[] =
	"struct hlist_head 8 first u64@0\n"
	"struct hlist_node 16 next u64@0 pprev u64@8\n"
	"struct in6_union 16 u6_addr8 u8[16]@0\n"
	"struct in6_addr 16 in6_u in6_union@0\n"
	"struct gateway 16 ipv6 in6_addr@0\n"
	"struct rt6key 20 addr in6_addr@0 plen u32@16\n"
	"struct netns_ipv4 24 fib_table_hash u64@0 fib_main u64@8 rules_ops u64@16\n"
	"struct netns_ipv6 24 fib_table_hash u64@0 fib6_main_tbl u64@8 fib6_null_entry u64@16\n"
	"struct net 256 ipv4 netns_ipv4@0 ipv6 netns_ipv6@24\n"
	"struct fib_table 48 tb_hlist hlist_node@0 tb_id u32@16 tb_data u64@40\n"
	"struct trie 24 kv u64[2]@0\n"
	"struct tnode 48 parent u64@24 kv u64[2]@32\n"
	"struct key_vector 16 key u32@0 pos u8@4 bits u8@5 slen u8@6 leaf hlist_head@8\n"
	"struct fib_alias 56 fa_list hlist_node@0 fa_info u64@16 fa_tos u8@24 fa_type u8@25 "
	"fa_slen u8@27 tb_id u32@28\n"
	"struct fib_info 128 fib_net u64@48 fib_protocol u8@69 fib_scope u8@70 fib_prefsrc u32@72 "
	"fib_priority u32@80 fib_nhs u32@96 nh u64@104 fib_nh u8[0]@128\n"
	"struct fib_nh_common 72 nhc_dev u64@0 nhc_gw_family u8@14 nhc_flags u8@15 "
	"nhc_gw gateway@24 nhc_weight s32@40\n"
	"struct fib_nh 112 nh_common fib_nh_common@0\n"
	"struct fib6_nh 96 nh_common fib_nh_common@0\n"
	"struct nexthop 136 id u32@96 is_group u8@102 nh_info u64@128\n"
	"struct nh_info 144 nh_parent u64@16 reject_nh u8@25 fib_nhc fib_nh_common@32\n"
	"struct nh_group 24 num_nh u16@8 nh_entries u8[0]@24\n"
	"struct nh_grp_entry 64 nh u64@0 weight u16@8 nh_parent u64@56\n"
	"struct fib6_node 72 parent u64@0 left u64@8 right u64@16 subtree u64@24 leaf u64@32 "
	"fn_bit u16@40 fn_flags u16@42\n"
	"struct fib6_table 128 tb6_hlist hlist_node@0 tb6_id u32@16 tb6_root fib6_node@24\n"
	"struct fib6_info 168 fib6_table u64@0 fib6_next u64@8 fib6_node u64@16 fib6_dst rt6key@64 "
	"fib6_flags u32@84 fib6_src rt6key@88 fib6_prefsrc rt6key@108 fib6_metric u32@128 "
	"fib6_protocol u8@132 fib6_type u8@133 nh u64@160 fib6_nh u8[0]@168\n";

struct given {
	struct route routes[64];
	char texts[64][64]; /* "10.0.0.0/8", with " via GATEWAY" if there is one */
	size_t count;
};

static enum kioku_status take(void *user, const struct route *route)
{
	struct given *given = user;
	char *text = given->texts[given->count], address[INET6_ADDRSTRLEN];

	CHECK(given->count < 64);
	inet_ntop(route->family, route->destination, address, sizeof(address));
	int size = snprintf(text, 64, "%s/%u", address, route->prefix);
	if (route->hop.gateway_family) {
		inet_ntop(route->hop.gateway_family, route->hop.gateway, address, sizeof(address));
		snprintf(text + size, 64 - (size_t)size, " via %s", address);
	}
	given->routes[given->count++] = *route;
	return KIOKU_OK;
}

static size_t walk(struct made *made, struct given *given)
{
	const struct net_namespace namespace = { .address = NET, .inode = 1 };

	given->count = 0;
	made->gaps = 0;
	CHECK_EQUAL(route_each(&made->kernel, &namespace, take, given), KIOKU_OK);
	return given->count;
}

static bool has(const struct given *given, const char *text)
{
	for (size_t i = 0; i < given->count; i++)
		if (strcmp(given->texts[i], text) == 0)
			return true;
	return false;
}

static void put_address(struct made *made, uint64_t at, const char *text)
{
	CHECK(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, made_memory(made, at)) == 1);
}

static void link_node(struct made *made, uint64_t from, uint64_t to)
{
	made_put(made, from, 8, to);
	made_put(made, to + 8, 8, from);
}

/* --- IPv4 */

/* The key_vector of node i; its struct tnode begins 32 bytes before. */
static uint64_t node4(unsigned i)
{
	return MADE_BASE + 0x130000 + 0x1000 * i + 32;
}

static uint64_t child(unsigned node, unsigned index)
{
	return node4(node) + 8 + 8 * index;
}

static void put_node(struct made *made, unsigned i, uint64_t parent, uint32_t key, unsigned pos,
		     unsigned bits)
{
	made_set(made, node4(i) - 32, "tnode", "parent", parent);
	made_set(made, node4(i), "key_vector", "key", key);
	made_set(made, node4(i), "key_vector", "pos", pos);
	made_set(made, node4(i), "key_vector", "bits", bits);
}

/* A route of leaf i by one hop, gateway 192.0.2.1. */
static uint64_t put_route4(struct made *made, unsigned i, unsigned prefix)
{
	uint64_t alias = node4(i) + 0x100, info = node4(i) + 0x200, hop = info + 128;

	link_node(made, node4(i) + 8, alias);
	made_set(made, alias, "fib_alias", "fa_info", info);
	made_set(made, alias, "fib_alias", "fa_slen", 32 - prefix);
	made_set(made, alias, "fib_alias", "fa_type", 1);
	made_set(made, alias, "fib_alias", "tb_id", 254);
	made_set(made, info, "fib_info", "fib_net", NET);
	made_set(made, info, "fib_info", "fib_nhs", 1);
	made_set(made, hop, "fib_nh_common", "nhc_dev", DEVICE);
	made_set(made, hop, "fib_nh_common", "nhc_gw_family", AF_INET);
	put_address(made, hop + 24, "192.0.2.1");
	return info;
}

/* --- IPv6 */

#define ROOT6 (TABLE6 + 24)

static uint64_t node6(unsigned i)
{
	return MADE_BASE + 0x150000 + 0x1000 * i;
}

static uint64_t put_route6(struct made *made, unsigned i, const char *destination, unsigned prefix)
{
	uint64_t info = node6(i) + 0x100;

	made_set(made, node6(i), "fib6_node", "leaf", info);
	made_set(made, node6(i), "fib6_node", "fn_bit", prefix);
	made_set(made, node6(i), "fib6_node", "fn_flags", 4);
	made_set(made, info, "fib6_info", "fib6_table", TABLE6);
	made_set(made, info, "fib6_info", "fib6_node", node6(i));
	put_address(made, info + 64, destination);
	made_set(made, info, "fib6_info", "fib6_dst.plen", prefix);
	return info;
}

static void link6(struct made *made, uint64_t parent, const char *side, unsigned i)
{
	made_set(made, parent, "fib6_node", side, node6(i));
	made_set(made, node6(i), "fib6_node", "parent", parent);
}

/*
 * IPv4: node 0 has four children; 1: leaf 0.0.0.0/0; 2: leaf 64.0.0.0/8; none; 3: a node of two leaves, 4
 * (192.0.0.0/16) and 5 (192.1.0.0/16). IPv6: node 0 (2000::/3), below it 1 (2001::/16) and 2 (3000::/8).
 */
static void make(struct made *made)
{
	made_open(made, layout);
	made_set(made, NET, "net", "ipv4.fib_table_hash", HEADS4);
	made_set(made, NET, "net", "ipv4.fib_main", TABLE4);
	made_set(made, NET, "net", "ipv6.fib_table_hash", HEADS6);
	made_set(made, NET, "net", "ipv6.fib6_main_tbl", TABLE6);
	made_set(made, NET, "net", "ipv6.fib6_null_entry", NULL6);
	link_node(made, HEADS4 + 8 * 254, TABLE4);
	made_set(made, TABLE4, "fib_table", "tb_id", 254);
	made_set(made, TABLE4, "fib_table", "tb_data", TRIE);
	made_put(made, TRIE + 8, 8, node4(0));
	put_node(made, 0, TRIE, 0, 30, 2);
	put_node(made, 1, node4(0), 0, 0, 0);
	put_node(made, 2, node4(0), 0x40000000, 0, 0);
	put_node(made, 3, node4(0), 0xc0000000, 16, 1);
	put_node(made, 4, node4(3), 0xc0000000, 0, 0);
	put_node(made, 5, node4(3), 0xc0010000, 0, 0);
	made_put(made, child(0, 0), 8, node4(1));
	made_put(made, child(0, 1), 8, node4(2));
	made_put(made, child(0, 3), 8, node4(3));
	made_put(made, child(3, 0), 8, node4(4));
	made_put(made, child(3, 1), 8, node4(5));
	put_route4(made, 1, 0);
	put_route4(made, 2, 8);
	put_route4(made, 4, 16);
	put_route4(made, 5, 16);

	link_node(made, HEADS6, TABLE6);
	made_set(made, TABLE6, "fib6_table", "tb6_id", 254);
	made_set(made, ROOT6, "fib6_node", "fn_flags", 7);
	made_set(made, ROOT6, "fib6_node", "leaf", NULL6);
	link6(made, ROOT6, "left", 0);
	link6(made, node6(0), "left", 1);
	link6(made, node6(0), "right", 2);
	put_route6(made, 0, "2000::", 3);
	put_route6(made, 1, "2001::", 16);
	put_route6(made, 2, "3000::", 8);
}

static void gives_all_routes(void)
{
	static const char *const all[] = { "0.0.0.0/0 via 192.0.2.1",
					   "64.0.0.0/8 via 192.0.2.1",
					   "192.0.0.0/16 via 192.0.2.1",
					   "192.1.0.0/16 via 192.0.2.1",
					   "2000::/3",
					   "2001::/16",
					   "3000::/8" };
	struct given given;
	struct made made;

	make(&made);
	CHECK_EQUAL(walk(&made, &given), 7);
	CHECK_EQUAL(made.gaps, 0);
	for (size_t i = 0; i < 7; i++)
		CHECK(has(&given, all[i]));
	CHECK_EQUAL(given.routes[0].table, 254);
	CHECK(given.routes[0].hop.device == DEVICE);
	made_close(&made);
}

/* One that is in no chain is found all the same. */
static void finds_the_main_tables(void)
{
	struct given given;
	struct made made;

	make(&made);
	made_put(&made, HEADS4 + 8 * 254, 8, 0);
	made_put(&made, HEADS6, 8, 0);
	CHECK_EQUAL(walk(&made, &given), 7);
	made_close(&made);
}

static void reads_objects(void)
{
	uint64_t group = MADE_BASE + 0x170000, one = group + 0x400, entries = group + 0x800;
	struct given given;
	struct made made;

	make(&made);
	made_set(&made, put_route4(&made, 2, 8), "fib_info", "nh", one);
	made_set(&made, one, "nexthop", "id", 7);
	made_set(&made, one, "nexthop", "nh_info", one + 0x100);
	made_set(&made, one + 0x100, "nh_info", "nh_parent", one);
	made_set(&made, one + 0x120, "fib_nh_common", "nhc_gw_family", AF_INET6);
	put_address(&made, one + 0x120 + 24, "2001:db8::1");
	made_set(&made, put_route6(&made, 1, "2001::", 16), "fib6_info", "nh", group);
	made_set(&made, group, "nexthop", "id", 9);
	made_set(&made, group, "nexthop", "is_group", 1);
	made_set(&made, group, "nexthop", "nh_info", entries);
	made_set(&made, entries, "nh_group", "num_nh", 2);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t entry = entries + 24 + 64 * i;
		made_set(&made, entry, "nh_grp_entry", "nh", one);
		made_set(&made, entry, "nh_grp_entry", "nh_parent", group);
		made_set(&made, entry, "nh_grp_entry", "weight", i + 1);
	}
	CHECK_EQUAL(walk(&made, &given), 8);
	CHECK_EQUAL(made.gaps, 0);
	CHECK(has(&given, "64.0.0.0/8 via 2001:db8::1"));
	CHECK(has(&given, "2001::/16 via 2001:db8::1"));
	/* Without an end it stays a route, though nobody knows by what. */
	made_set(&made, entries, "nh_group", "num_nh", 0xffff);
	CHECK_EQUAL(walk(&made, &given), 7);
	CHECK_EQUAL(made.gaps, 1);
	CHECK(has(&given, "2001::/16"));
	/* A group of itself. */
	made_set(&made, entries, "nh_group", "num_nh", 2);
	made_set(&made, entries + 24, "nh_grp_entry", "nh", group);
	CHECK_EQUAL(walk(&made, &given), 7);
	CHECK_EQUAL(made.gaps, 1);
	made_close(&made);
}

static void survives_hostile_tries(void)
{
	static const uint64_t wild[] = { 0x1000, MADE_BASE + MACHINE_SIZE, 0xffffffffffffff00,
					 0x8000000000000000 };
	struct given given;
	struct made made;

	make(&made);
	/* Below itself, and twice below one. */
	made_put(&made, child(3, 0), 8, node4(3));
	made_put(&made, child(0, 2), 8, node4(3));
	CHECK_EQUAL(walk(&made, &given), 6);
	CHECK_EQUAL(made.gaps, 2);
	for (size_t i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
		made_put(&made, child(0, 3), 8, wild[i]);
		CHECK_EQUAL(walk(&made, &given), 5);
	}
	made_close(&made);
	/* More children than an address has bits, or than there can be memory for. */
	make(&made);
	put_node(&made, 3, node4(0), 0xc0000000, 16, 200);
	CHECK_EQUAL(walk(&made, &given), 5);
	put_node(&made, 3, node4(0), 0xc0000000, 0, 30);
	CHECK(walk(&made, &given) >= 5);
	CHECK(made.gaps >= 1);
	/* A leaf that is not where its number is, and a prefix longer than its number. */
	put_node(&made, 3, node4(0), 0xc0000000, 16, 1);
	put_node(&made, 2, node4(0), 0x80000000, 0, 0);
	put_route4(&made, 5, 8);
	CHECK_EQUAL(walk(&made, &given), 5);
	CHECK_EQUAL(made.gaps, 2);
	made_close(&made);
}

static void survives_hostile_trees(void)
{
	struct given given;
	struct made made;

	/* Below itself. */
	make(&made);
	made_set(&made, node6(1), "fib6_node", "left", node6(0));
	CHECK_EQUAL(walk(&made, &given), 7);
	CHECK_EQUAL(made.gaps, 1);
	/* The same that names the other one as its parent: its bit is not below. */
	made_set(&made, node6(1), "fib6_node", "left", node6(1));
	made_set(&made, node6(1), "fib6_node", "parent", node6(1));
	CHECK_EQUAL(walk(&made, &given), 6);
	/* Both sides are one. */
	made_set(&made, node6(0), "fib6_node", "left", node6(2));
	CHECK_EQUAL(walk(&made, &given), 4);
	made_close(&made);
	/* A route behind itself, one of another node, a prefix that cannot be. */
	make(&made);
	made_set(&made, node6(1) + 0x100, "fib6_info", "fib6_next", node6(1) + 0x100);
	CHECK_EQUAL(walk(&made, &given), 7);
	CHECK_EQUAL(made.gaps, 1);
	made_set(&made, node6(1), "fib6_node", "leaf", node6(2) + 0x100);
	CHECK_EQUAL(walk(&made, &given), 5);
	made_set(&made, node6(0) + 0x100, "fib6_info", "fib6_dst.plen", 129);
	CHECK_EQUAL(walk(&made, &given), 4);
	made_close(&made);
}

TAP_MAIN(TEST(gives_all_routes), TEST(finds_the_main_tables), TEST(reads_objects),
	 TEST(survives_hostile_tries), TEST(survives_hostile_trees))
