/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets carved out of the slabs of a made kernel: what is in use, and nothing that was freed. */
#include "kernel/socket_scan.h"
#include "test_kernel.h"

#define CACHE  (MADE_BASE + 0x100000)
#define PROTO  (MADE_BASE + 0x101000)
#define LIST   (MADE_BASE + 0x102000)
#define NETS   (MADE_BASE + 0x103000)
#define NET    (MADE_BASE + 0x104000)
#define HANDLE (MADE_BASE + 0x105000)
#define SLAB   0x110000 /* physical, of two pages */
#define SIZE   0x200

enum { SLAB_TYPE = 0xf5, OBJECTS = 16 };

static const char layout[] =
	"enum pagetype PGTY_buddy=240 PGTY_slab=245\n"
	"struct list_head 16 next u64@0 prev u64@8\n"
	"struct page 64 flags u64@0 mapping u64@24 private u64@32 compound_head u64@8 page_type "
	"u32@48\n"
	"struct slab 64 slab_cache u64@8 objects u32:15@336\n"
	"struct kmem_cache 64 size u32@0 red_left_pad u32@4\n"
	"struct proto 64 node list_head@0 slab u64@16\n"
	"struct ns_common 8 inum u32@0\n"
	"struct net 64 list list_head@0 ns ns_common@16\n"
	"struct possible_net 8 net u64@0\n"
	"struct sock_common 64 skc_net possible_net@0 skc_refcnt u32@8 skc_state u8@12\n"
	"struct sock 256 __sk_common sock_common@0 sk_prot_creator u64@64 sk_socket u64@72 sk_type "
	"u16@80\n"
	"struct socket 64 sk u64@0 type u16@8\n";

static uint64_t object(unsigned i)
{
	return MADE_BASE + SLAB + SIZE * i;
}

static void put_list(struct made *made, uint64_t head, uint64_t node)
{
	made_put(made, head, 8, node);
	made_put(made, head + 8, 8, node);
	made_put(made, node, 8, head);
	made_put(made, node + 8, 8, head);
}

static void put_socket(struct made *made, unsigned i)
{
	uint64_t handle = HANDLE + 0x40 * i;

	made_set(made, object(i), "sock", "sk_prot_creator", PROTO);
	made_set(made, object(i), "sock", "sk_socket", handle);
	made_set(made, object(i), "sock", "sk_type", 1);
	made_set(made, object(i), "sock_common", "skc_refcnt", 1);
	made_set(made, object(i), "sock_common", "skc_state", 7);
	made_put(made, object(i), 8, NET);
	made_set(made, handle, "socket", "sk", object(i));
	made_set(made, handle, "socket", "type", 1);
}

/* One slab, in which all sockets are in use. */
static void make(struct made *made)
{
	uint64_t page = MADE_VMEMMAP + SLAB / 4096 * 64;

	made_open(made, layout);
	made_pages(made);
	made->kernel.direct_map = MADE_BASE;
	made_symbol(made, "proto_list", LIST);
	made_symbol(made, "net_namespace_list", NETS);
	put_list(made, LIST, PROTO);
	put_list(made, NETS, NET);
	made_set(made, PROTO, "proto", "slab", CACHE);
	made_set(made, CACHE, "kmem_cache", "size", SIZE);
	made_set(made, page, "page", "page_type", (uint64_t)SLAB_TYPE << 24);
	made_set(made, page, "slab", "slab_cache", CACHE);
	made_set(made, page, "slab", "objects", OBJECTS);
	for (unsigned i = 0; i < OBJECTS; i++)
		put_socket(made, i);
}

static enum kioku_status take(void *user, uint64_t sock)
{
	unsigned *found = user;
	uint64_t index = (sock - object(0)) / SIZE;

	CHECK(index < OBJECTS && sock == object((unsigned)index) && !(*found >> index & 1));
	*found |= 1u << index;
	return KIOKU_OK;
}

/* Bit i: the one at place i. */
static unsigned scan(struct made *made)
{
	unsigned found = 0;

	made->gaps = 0;
	CHECK_EQUAL(socket_scan_each(&made->kernel, take, &found, NULL), KIOKU_OK);
	return found;
}

static void finds_what_is_in_use(void)
{
	struct made made;

	make(&made);
	CHECK_EQUAL(scan(&made), 0xffff);
	CHECK_EQUAL(made.gaps, 0);
	made_close(&made);
}

static void leaves_what_was_freed(void)
{
	struct made made;

	make(&made);
	/* Each lacks one thing that all in use have. */
	made_set(&made, object(0), "sock_common", "skc_refcnt", 0);
	made_set(&made, object(1), "sock_common", "skc_refcnt", 0xc0000000);
	made_set(&made, object(2), "sock", "sk_socket", 0);
	made_set(&made, HANDLE + 0x40 * 3, "socket", "sk", 0);
	made_set(&made, HANDLE + 0x40 * 4, "socket", "sk", object(5));
	made_set(&made, object(5), "sock", "sk_type", 2);
	made_set(&made, object(6), "sock", "sk_prot_creator", CACHE);
	made_set(&made, object(7), "sock_common", "skc_state", 0);
	made_put(&made, object(8), 8, NET + 0x40);
	memset(made_memory(&made, object(9)), 0, SIZE);
	memset(made_memory(&made, object(10)), 0x6b, SIZE);
	CHECK_EQUAL(scan(&made), 0xf800);
	CHECK_EQUAL(made.gaps, 0);
	made_close(&made);
}

static void survives_hostile_caches(void)
{
	struct made made;

	make(&made);
	made_set(&made, CACHE, "kmem_cache", "size", 0xffffffff);
	CHECK_EQUAL(scan(&made), 0);
	CHECK_EQUAL(made.gaps, 1);
	/* Objects that lie over each other, and then outside of all memory. */
	made_set(&made, CACHE, "kmem_cache", "size", 0);
	CHECK_EQUAL(scan(&made), 0);
	CHECK_EQUAL(made.gaps, 1);
	made_set(&made, CACHE, "kmem_cache", "size", SIZE);
	made_set(&made, CACHE, "kmem_cache", "red_left_pad", 0xfffffe00);
	CHECK_EQUAL(scan(&made), 0);
	made_close(&made);
	/* A list of protocols that does not end. */
	make(&made);
	made_put(&made, PROTO, 8, PROTO);
	CHECK_EQUAL(scan(&made), 0xffff);
	CHECK(made.gaps > 0);
	made_close(&made);
}

TAP_MAIN(TEST(finds_what_is_in_use), TEST(leaves_what_was_freed), TEST(survives_hostile_caches))
